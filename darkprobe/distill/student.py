"""`distill`: one student from one teacher or several, by any method of the catalogue, in the one training loop."""

import copy
from collections.abc import Sequence
from contextlib import ExitStack

import torch
from torch import nn

from darkprobe.data.policy import ViewPolicy, parse_policy
from darkprobe.data.split import Split
from darkprobe.distill.checkpoint import Checkpoint
from darkprobe.distill.config import TrainConfig
from darkprobe.distill.curves import Watch
from darkprobe.distill.feature_losses import feature_shapes
from darkprobe.distill.graduation import Distilled as Distilled
from darkprobe.distill.graduation import Name, accuracy, answers, finished
from darkprobe.distill.inputs import StudentInputs
from darkprobe.distill.layers import pair_layers
from darkprobe.distill.lesson import Lesson
from darkprobe.distill.loop import fit
from darkprobe.distill.methods import Combination, resolve_method
from darkprobe.distill.pairing import check_alike, check_policy, stored_policy
from darkprobe.distill.schedules.tutoring import Tutored
from darkprobe.distill.settings import DistillConfig
from darkprobe.distill.sparse_rows import usable_temperature
from darkprobe.distill.tutors import CachedTutor, LiveTutor, Tutor
from darkprobe.errors import DataError, InvalidValueError
from darkprobe.store import LogitFile
from darkprobe.zoo import Model, Preprocessing, build_module, find_architecture
from darkprobe.zoo.architectures import preprocessing_for


def distill(
    student: str,
    train: Split,
    teacher: LogitFile | Model | Sequence[LogitFile | Model] | None,
    *,
    added: Sequence[Model] = (),
    val: Split,
    test: Split | None = None,
    config: DistillConfig,
    checkpoint: Checkpoint | None = None,
    watch: Watch | None = None,
    device: str | None = None,
    replay: bool = True,
) -> Distilled:
    """A student of the zoo, trained from fresh weights on `train` with the help of a teacher or several.

    Stored logits are paired with the student's images by example id and by view; a store of clean logits teaches only
    students that see clean images. A model teaches live: it sees the very pixels the student sees. Several teachers
    are for methods that fuse or swap them, and for dgkd and sckd. Of mixed images (mixup, cutmix) the labels are
    mixed in the shares of the pixels; methods whose record says `one_label` refuse them. A sparse store teaches
    methods with a `single_temperature`, its tail spread evenly.

    Args:
        student: architecture, a name of `darkprobe zoo list`.
        train: examples to learn from.
        teacher: its stored logits, the network itself, several of them, or None for methods without a teacher.
        added: frozen networks whose logits are added to the student's, in training and in every accuracy: the student
            learns what their sum lacks (residual students).
        val: held-out examples for the curve and for the choice of `selected`.
        test: read twice after training, for the last and the selected weights; no choice is made on it.
        config: method, schedule, augmentation, seed.
        checkpoint: where to put the run away and take it up again.
        watch: called after every look.
        device: a torch device; without it, the first GPU where there is one, else the processor.
        replay: on a GPU, record the student's pass once and replay it. Switch it off for a network of your own whose
            pass depends on values, or on random numbers drawn on the processor; see `recording`.

    Raises:
        InvalidValueError: method, teacher, augmentation and layers do not go together; the message says how they would.
        StoreError: the stored logits are of other data.
        DataError: fewer training examples than one batch.
    """
    place = torch.device(device or ("cuda" if torch.cuda.is_available() else "cpu"))
    _check_length(train, config.training)
    teachers = _as_tuple(teacher)
    policy = _policy(teachers, config)
    shape, classes = train.input_shape, train.num_classes
    preprocessing = preprocessing_for(find_architecture(student), shape)
    module = build_module(student, input_shape=shape, num_classes=classes, seed=config.seed)
    module = _placed(module, place, images=len(shape) == 3)
    stored = next((entry for entry in teachers if isinstance(entry, LogitFile) and entry.n_views), None)
    inputs = StudentInputs(
        train,
        preprocessing=preprocessing,
        policy=policy,
        view_seed=config.view_seed if stored is None else int(stored.attributes["view_seed"]),
        count=0 if stored is None else stored.n_views,
        device=place,
    )
    with ExitStack() as lent:
        for live in teachers:
            if isinstance(live, Model):
                lent.enter_context(live.lent_to(place))
        network, lesson = _lesson(module, train, teachers, inputs, config=config, device=place)
        network.added = _added(added, preprocessing, place)
        history = fit(
            network,
            inputs,
            lesson,
            config=config.training,
            examples=len(train),
            order_seeds=(config.seed,),
            evaluate=lambda _: torch.tensor(
                [accuracy(answers(module, val, preprocessing, added=network.added), val)], dtype=torch.float64
            ),
            checkpoint=checkpoint,
            watch=watch,
            replay=replay and lesson.goes_back_once,
        )
    note = f"Trained on {train.dataset}/{train.name}, {config.training.epochs} epochs, augmentation {policy.text}."
    if added:
        note += f" Its logits are to be added to those of {', '.join(model.card.model_id for model in added)}."
    named = Name(student=student, teachers=teachers, config=config, note=note, shape=shape, classes=classes)
    return finished(network, history, named, preprocessing=preprocessing, test=test)


def _check_length(train: Split, training: TrainConfig) -> None:
    if len(train) < training.batch_size:
        raise DataError(
            f"distill: `train` must fill a batch of {training.batch_size}, got {len(train)} examples. "
            "Choose a smaller batch."
        )


def _as_tuple(teacher: LogitFile | Model | Sequence[LogitFile | Model] | None) -> tuple[LogitFile | Model, ...]:
    if teacher is None:
        return ()
    return (teacher,) if isinstance(teacher, LogitFile | Model) else tuple(teacher)


def _policy(teachers: Sequence[LogitFile | Model], config: DistillConfig) -> ViewPolicy:
    """The augmentation that the student and all teachers share."""
    stored = [teacher for teacher in teachers if isinstance(teacher, LogitFile)]
    if not stored:
        return parse_policy(config.policy or "clean")
    check_alike(stored)
    policy = stored_policy(stored[0]) if config.policy is None else parse_policy(config.policy)
    check_policy(stored[0], policy)
    return policy


def _added(models: Sequence[Model], preprocessing: Preprocessing, device: torch.device) -> list[nn.Module]:
    """The frozen networks, on the device."""
    other = [model.card.model_id for model in models if model.card.preprocessing != preprocessing]
    if other:
        raise InvalidValueError(
            f"distill: `added` must take the inputs that the student takes, got {other[0]} with other preprocessing. "
            "Choose networks of one kind."
        )
    return [copy.deepcopy(model.module).eval().to(device) for model in models]


def _placed(module: nn.Module, device: torch.device, *, images: bool) -> nn.Module:
    if images:  # torch's own annotation of `to` lacks the keyword
        return module.to(device, memory_format=torch.channels_last)  # type: ignore[call-overload,no-any-return]
    return module.to(device)


def _lesson(
    module: nn.Module,
    train: Split,
    teachers: Sequence[LogitFile | Model],
    inputs: StudentInputs,
    *,
    config: DistillConfig,
    device: torch.device,
) -> tuple[Tutored, Lesson]:
    """The student as the loop sees it and its objective."""
    combination = resolve_method(config.method)
    taps: list[tuple[tuple[str, str], ...]] = [() for _ in teachers]
    if combination.features and teachers:
        taps = pair_layers(combination, module, teachers, given=config.layers)
    tutors = _tutors(teachers, train, inputs, combination, taps=taps, config=config, device=device)
    network = Tutored(module, [of_student for pairs in taps for of_student, _ in pairs])
    few = torch.arange(min(config.training.batch_size, len(train)))
    with torch.random.fork_rng(devices=[]):  # adapters draw their first weights
        torch.manual_seed(config.seed)
        lesson = Lesson(
            combination,
            tutors,
            inputs,
            student=network,
            labels=torch.from_numpy(train.labels).to(device),
            classes=train.num_classes,
            parameters=config.parameters,
            weights=config.weights,
            epochs=config.training.epochs,
            seed=config.seed,
            shapes=feature_shapes(module, network.layers, inputs(few[:2], 0)) if network.layers else (),
        )
    if any(isinstance(tutor, LiveTutor) for tutor in tutors):
        lesson.check_row_by_row(few)
    return network, lesson


def _tutors(
    teachers: Sequence[LogitFile | Model],
    train: Split,
    inputs: StudentInputs,
    combination: Combination,
    *,
    taps: Sequence[tuple[tuple[str, str], ...]],
    config: DistillConfig,
    device: torch.device,
) -> list[Tutor]:
    tutors: list[Tutor] = []
    for teacher, pairs in zip(teachers, taps, strict=True):
        tapped = [of_teacher for _, of_teacher in pairs]
        if isinstance(teacher, Model):
            tutors.append(LiveTutor(teacher, inputs, layers=tapped))
            continue
        temperature = None
        if teacher.is_sparse and combination.logit.name != "none":
            own = combination.split(config.parameters)[combination.logit.name]
            temperature = usable_temperature(teacher, combination.logit, own)
        tutors.append(CachedTutor(teacher, train, layers=tapped, device=device, temperature=temperature))
    return tutors
