"""Which students a study trains: on the pilot every setting of every method, after it what was chosen."""

from darkprobe.study.assistants import assistant_key
from darkprobe.study.choices import Choices, fix_teachers
from darkprobe.study.plan import Control, Parameters, Study
from darkprobe.study.students import Student
from darkprobe.study.teachers import Stems


def pilot_students(study: Study, replicate: int, stems: Stems) -> list[Student]:
    """Every setting of every method: the reference on all teachers, fixes on the teachers chosen for them."""
    students = [_alone()]
    for teacher in study.teachers:
        plans = (study.reference, *study.fixes) if teacher in fix_teachers(study) else (study.reference,)
        for plan in plans:
            for setting in plan.grid:
                students.append(
                    _student(study, replicate, stems, teacher=teacher, method=plan.method, parameters=setting)
                )
    return students


def confirm_students(study: Study, replicate: int, stems: Stems, *, choices: Choices) -> list[Student]:
    """The reference at every temperature, fixes at their chosen settings, and the controls."""
    students = [_alone()]
    for teacher in study.teachers:
        for setting in study.reference.grid:
            students.append(
                _student(study, replicate, stems, teacher=teacher, method=study.reference.method, parameters=setting)
            )
        for plan in study.fixes if teacher in fix_teachers(study) else ():
            for setting in plan.grid if study.confirm_all else (choices.settings[teacher, plan.method],):
                students.append(
                    _student(study, replicate, stems, teacher=teacher, method=plan.method, parameters=setting)
                )
    for control in study.controls:
        if control.edit != "twin" or replicate in study.twin_replicates:
            students.append(_control_student(study, replicate, control, stems=stems))
    return students


def _alone() -> Student:
    return Student(method="none", parameters={}, edit_parameters={})


def _student(
    study: Study, replicate: int, stems: Stems, *, teacher: str, method: str, parameters: Parameters
) -> Student:
    plan = next(plan for plan in (study.reference, *study.fixes) if plan.method == method)
    return Student(
        teacher=teacher,
        stem=stems["teacher", teacher, study.replicate_seed(replicate)],
        edit_parameters={},
        method=method,
        parameters=parameters,
        teacher_weight=plan.teacher_weight,
    )


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
    )
