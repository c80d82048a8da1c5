"""Rows for everything built in: strings only, so that reading them imports nothing heavy."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Row:
    """One built-in or plugged-in thing.

    Attributes:
        id: the name used on the command line and in files.
        title: the name that a person reads.
        target: ``module:attribute``, imported only when it is used.
        needs: capabilities that a model must have (panels), in the words of ``ModelSpec``.
        summary: one line.
        icon: name of a bundled icon.
    """

    id: str
    title: str
    target: str
    needs: tuple[str, ...] = ()
    summary: str = ""
    icon: str = ""


BUILTIN: dict[str, tuple[Row, ...]] = {
    "latentlab.backends": (
        Row("vae", "Variational autoencoder", "latentlab.backends.vae:VaeBackend"),
        Row("diffusion", "Diffusion model", "latentlab.backends.diffusion:DiffusionBackend"),
        Row("flow", "Normalizing flow", "latentlab.backends.flow:FlowBackend"),
    ),
    "latentlab.panels": (
        Row(
            "manifold",
            "Manifold",
            "latentlab.ui.panels.manifold:ManifoldPanel",
            needs=("decode",),
            summary="The latent space as a map: look, choose and steer.",
            icon="map",
        ),
        Row(
            "attributes",
            "Attributes",
            "latentlab.ui.panels.attributes:AttributesPanel",
            needs=("decode",),
            summary="Sliders that edit attributes, in standard deviations.",
            icon="sliders",
        ),
        Row(
            "directions",
            "Directions",
            "latentlab.ui.panels.directions:DirectionsPanel",
            needs=("decode",),
            summary="Make your own sliders: from labels, groups, components or arithmetic.",
            icon="directions",
        ),
        Row(
            "effects",
            "Effects",
            "latentlab.ui.panels.effects:EffectsPanel",
            needs=("sample", "decode"),
            summary="Which slider moves what, and how to untangle them.",
            icon="effects",
        ),
        Row(
            "denoising",
            "Denoising",
            "latentlab.ui.panels.denoising:DenoisingPanel",
            needs=("steps",),
            summary="A picture out of noise, step by step: watch, branch, compare.",
            icon="denoising",
        ),
        Row(
            "switch",
            "Switch",
            "latentlab.ui.panels.switch:SwitchPanel",
            needs=("decode", "parts"),
            summary="Parts of some pictures put into others: a matrix of pictures.",
            icon="switch",
        ),
        Row(
            "likelihood",
            "Likelihood",
            "latentlab.ui.panels.likelihood:LikelihoodPanel",
            needs=("log_prob",),
            summary="How likely the model finds images, and what that does not say.",
            icon="likelihood",
        ),
        Row(
            "train",
            "Train",
            "latentlab.ui.panels.train:TrainPanel",
            summary="Train models, watch runs, and explore them while they learn.",
            icon="train",
        ),
    ),
    "latentlab.importers": (),
    "latentlab.datasets": (
        Row("portraits", "Portraits", "latentlab.data.portraits.dataset:Portraits"),
        Row("folder", "Folder or zip of images", "latentlab.data.folder:reader"),
        Row("idx", "MNIST and Fashion-MNIST", "latentlab.data.idx:reader"),
        Row("cifar", "CIFAR-10", "latentlab.data.cifar:reader"),
        Row("celeba", "CelebA", "latentlab.data.celeba:reader"),
    ),
}
"""Built-in rows by plugin group."""


@dataclass(frozen=True)
class Family:
    """A family that can be trained.

    Attributes:
        id: what ``family`` in a recipe says.
        title: the name that a person reads.
        trainer: ``module:attribute`` of the trainer.
        settings: ``module:attribute`` of the torch-free settings of its ``[model]`` table.
        summary: one line.
    """

    id: str
    title: str
    trainer: str
    settings: str
    summary: str = ""


FAMILIES: tuple[Family, ...] = (
    Family(
        "vae",
        "Variational autoencoder",
        "latentlab.training.families.vae:VaeTrainer",
        "latentlab.core.families.vae:VaeSettings",
        "Encodes images to a smooth space and decodes them again: quick to train, a little soft.",
    ),
    Family(
        "flow",
        "Normalizing flow",
        "latentlab.training.families.flow:FlowTrainer",
        "latentlab.core.families.flow:FlowSettings",
        "Turns images into numbers and back without loss: likelihoods, and parts that can be "
        "switched.",
    ),
    Family(
        "diffusion",
        "Diffusion model",
        "latentlab.training.families.diffusion:DiffusionTrainer",
        "latentlab.core.families.diffusion:DiffusionSettings",
        "Turns noise into images step by step: the sharpest images, the longest training.",
    ),
    Family(
        "probe",
        "Probe",
        "latentlab.training.families.probe:ProbeTrainer",
        "latentlab.core.families.probe:ProbeSettings",
        "Reads labels from images, to measure what an edit changes; it draws no images.",
    ),
)
"""Built-in families; a plugged-in backend names its own in ``trainer`` and ``settings``."""

TRAINERS: dict[str, str] = {family.id: family.trainer for family in FAMILIES}
"""Trainer by family, as ``module:attribute``; a plugged-in backend names its own in ``trainer``."""

BUNDLED_MODELS: tuple[str, ...] = (
    "portraits-vae",
    "portraits-vae-2d",
    "portraits-diffusion",
    "portraits-flow",
)
"""Ids of the models in ``assets/models``; the first one opens at the first start."""
