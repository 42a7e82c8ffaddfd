"""Which students a study trains: on the pilot every setting of every method, after it what was chosen."""

from darkprobe.study.assistants import assistant_key
from darkprobe.study.choices import Choices, plans_tried
from darkprobe.study.plan import Control, MethodPlan, Parameters, Study
from darkprobe.study.students import Student
from darkprobe.study.teachers import Stems, is_stacked


def pilot_students(study: Study, replicate: int, stems: Stems) -> list[Student]:
    """Every setting of every method: the reference on all teachers, what is compared with it on the teachers chosen."""
    students = [_alone()]
    for teacher in study.teachers:
        for plan in (study.reference, *plans_tried(study, teacher)):
            for setting in plan.grid:
                students.append(_student(study, replicate, stems, teacher=teacher, plan=plan, parameters=setting))
    return students


def confirm_students(study: Study, replicate: int, stems: Stems, *, choices: Choices) -> list[Student]:
    """The reference at every temperature, fixes at their chosen settings, and the controls."""
    students = [_alone()]
    for teacher in study.teachers:
        for setting in study.reference.grid:
            students.append(
                _student(study, replicate, stems, teacher=teacher, plan=study.reference, parameters=setting)
            )
        for plan in plans_tried(study, teacher):
            for setting in plan.grid if study.confirm_all else (choices.settings[teacher, plan.name],):
                students.append(_student(study, replicate, stems, teacher=teacher, plan=plan, parameters=setting))
    for control in study.controls:
        if control.edit != "twin" or replicate in study.twin_replicates:
            students.append(_control_student(study, replicate, control, stems=stems))
    return students


def _alone() -> Student:
    return Student(method="none", parameters={}, edit_parameters={})


def _student(
    study: Study, replicate: int, stems: Stems, *, teacher: str, plan: MethodPlan, parameters: Parameters
) -> Student:
    student = Student(
        teacher=teacher,
        stem=stems["teacher", teacher, study.replicate_seed(replicate)],
        edit_parameters={},
        method=plan.method,
        parameters=parameters,
        teacher_weight=plan.teacher_weight,
        name=plan.name,
    )
    return student if is_stacked(study.student) else student.of_common_size()


def _control_student(study: Study, replicate: int, control: Control, *, stems: Stems) -> Student:
    seed, assisted = study.replicate_seed(replicate), control.edit == "assistant"
    role = {"twin": "twin", "recipe": control.recipe}.get(control.edit, "teacher")
    key = assistant_key(control, seed) if assisted else (role, study.control_teacher, seed)
    return Student(
        teacher=key[1],
        stem=stems[key],
        edit="none" if assisted or role != "teacher" else control.edit,
        edit_parameters={} if assisted else control.edit_parameters,
        method=control.method,
        parameters=control.parameters,
        teacher_weight=control.teacher_weight,
        control=control.label,
        loss_size=control.loss_size,
    )
