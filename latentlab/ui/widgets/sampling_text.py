"""What settings of sampling are called, and what a change of them is called. No Qt here."""

from __future__ import annotations

from html import escape

import numpy as np

from latentlab.core.denoising import Sampler, Sampling, sampler
from latentlab.core.latents import Condition
from latentlab.core.spec import DiffusionFacts, ModelSpec
from latentlab.ui.edits import readable

SPACINGS = {
    "trailing": "The last time is always part of it; right for few steps (Lin et al. 2024).",
    "leading": "Begins at time 0, as DDPM and DDIM were published; stops short of pure noise.",
    "linspace": "Even from the first time to the last.",
}
"""What each spacing of times does."""

STEPS_TIP = (
    "Steps from noise to image, 1 to {most}. Few are quick, many are exact; the slider is "
    "logarithmic."
)
GUIDANCE_TIP = (
    "Guidance: how strongly the condition pulls. 0 leaves it out, 1 follows it, more exaggerates "
    "it. Other values than 0 and 1 need two predictions an evaluation (Ho and Salimans 2022)."
)
NO_GUIDANCE_TIP = "Guidance does nothing here: this model takes no condition."
ETA_TIP = (
    "Eta of DDIM: how much fresh noise each step adds. 0 adds none, 1 as much as DDPM "
    "(Song et al. 2021, equation 16)."
)
NOISE_TIP = (
    "Seed of the noise that the sampler adds at its steps, a whole number. The noise that a "
    "picture starts from has the seed of the picture."
)
CLIP_TIP = "Holds the predicted image within black and white at every step, where the solver can."


def steps_done(sampling: Sampling, num_timesteps: int) -> int:
    """Return the steps that a run takes: all of them, or those from ``start_at`` on.

    The times are those of ``diffusers``; the multistep solvers leave the last one out.
    """
    if sampling.start_at is None:
        return sampling.steps
    count = min(sampling.steps, num_timesteps)
    past_zero = sampling.sampler in ("dpmpp", "unipc") and count < num_timesteps
    more = int(past_zero and sampling.spacing != "trailing")
    if sampling.spacing == "trailing":
        times = num_timesteps * (1 - np.arange(count) / count) - 1
    elif sampling.spacing == "linspace":
        times = np.linspace(num_timesteps - 1, 0, count + more)[:count]
    else:
        times = num_timesteps // (count + more) * np.arange(count + more - 1, more - 1, -1.0)
    return max(1, int((times.round() <= sampling.start_at).sum()))


def evaluations(sampling: Sampling, num_timesteps: int = 1000) -> int:
    """Return the network evaluations of a run; the last step of a second-order one needs one."""
    each = sampler(sampling.sampler).evaluations
    return steps_done(sampling, num_timesteps) * each - (each - 1)


def is_conditional(condition: Condition) -> bool:
    """Whether a model is told anything."""
    return not condition.null and (condition.class_index is not None or bool(condition.attributes))


def doubled(sampling: Sampling, condition: Condition) -> bool:
    """Whether every evaluation predicts twice, with and without the condition."""
    return is_conditional(condition) and sampling.guidance not in (0.0, 1.0)


def cost_text(sampling: Sampling, condition: Condition, num_timesteps: int = 1000) -> str:
    """Return what a run costs: ``25 steps, 25 evaluations, two predictions each``."""
    count = evaluations(sampling, num_timesteps)
    steps = f"{sampling.steps} step{'s' if sampling.steps > 1 else ''}"
    if sampling.start_at is not None:
        steps = f"{steps_done(sampling, num_timesteps)} of {steps} from t = {sampling.start_at} on"
    text = f"{steps}, {count} evaluation{'s' if count > 1 else ''} of the network"
    return f"{text}, two predictions each" if doubled(sampling, condition) else text


def short_cost(sampling: Sampling, condition: Condition, num_timesteps: int = 1000) -> str:
    """Return the same where there is little room: ``25 × 2 evals``."""
    count = evaluations(sampling, num_timesteps)
    twice = " × 2" if doubled(sampling, condition) else ""
    return f"{count}{twice} eval{'s' if count > 1 or twice else ''}"


def sampler_tip(row: Sampler) -> str:
    """Return what a tooltip says about a sampler, its paper too."""
    return f"<p><b>{escape(row.title)}.</b> {escape(row.summary)}<br>{escape(row.source)}</p>"


def takes_noise(sampling: Sampling) -> bool:
    """Whether a run injects noise."""
    noise = sampler(sampling.sampler).noise
    return noise == "always" or (noise == "eta" and sampling.eta > 0)


def number(value: float) -> str:
    """Return a setting as text: ``3``, ``2.5``."""
    return f"{value:.4g}"


def sampling_label(before: Sampling, after: Sampling) -> str:
    """Return what the history calls a change: ``Guidance 3``, ``Sampler Heun``."""
    words = []
    if after.sampler != before.sampler:
        words.append(f"Sampler {sampler(after.sampler).title}")
    if after.steps != before.steps:
        words.append(f"{after.steps} step{'s' if after.steps > 1 else ''}")
    if after.guidance != before.guidance:
        words.append(f"Guidance {number(after.guidance)}")
    if after.eta != before.eta:
        words.append(f"Eta {number(after.eta)}")
    if after.noise_seed != before.noise_seed:
        words.append(f"Noise seed {after.noise_seed}")
    if after.spacing != before.spacing:
        words.append(f"Spacing {after.spacing}")
    if after.clip != before.clip:
        words.append("Clipping on" if after.clip else "Clipping off")
    if (after.stop_at, after.show) != (before.stop_at, before.show):
        words.append("The result" if after.stop_at is None else f"Step {after.stop_at}")
    return ", ".join(words) or "Sampling"


def condition_label(before: Condition, after: Condition, spec: ModelSpec | None = None) -> str:
    """Return what the history calls a change: ``Condition Smiling 0.8``, ``Label cat``."""
    if not is_conditional(after):
        return "No condition"
    if after.class_index is not None and after.class_index != before.class_index:
        return f"Label {class_name(after.class_index, spec)}"
    changed = {
        name: after.attributes.get(name, 0.0)
        for name in {*before.attributes, *after.attributes}
        if before.attributes.get(name, 0.0) != after.attributes.get(name, 0.0)
    }
    if len(changed) == 1:
        ((name, value),) = changed.items()
        return f"Condition {readable(name)} {number(value)}"
    return f"Condition: {len(changed)} attributes" if changed else "Condition on"


def class_name(index: int, spec: ModelSpec | None) -> str:
    """Return what a class is called; ``class 3`` where its model is not known."""
    names = () if spec is None else spec.class_names
    return names[index] if 0 <= index < len(names) else f"class {index}"


def condition_text(condition: Condition, spec: ModelSpec | None = None, most: int = 1) -> str:
    """Return a condition in a few words; attributes at 0 say nothing, more than ``most`` a count.

    ``none`` where the model is told nothing.
    """
    if not is_conditional(condition):
        return "none"
    words = []
    if condition.class_index is not None:
        words.append(class_name(condition.class_index, spec))
    told = {name: value for name, value in condition.attributes.items() if value}
    if len(told) > most:
        words.append(f"{len(told)} attributes")
    else:
        words += [f"{readable(name)} {number(value)}" for name, value in told.items()]
    return ", ".join(words) or "all 0"


def condition_names(spec: ModelSpec) -> str:
    """Return what a conditional model can be told; empty for nothing."""
    words = [f"{len(spec.class_names)} classes"] if "class" in spec.conditions else []
    if "attributes" in spec.conditions:
        words += [readable(name).lower() for name in spec.attribute_names]
    return ", ".join(words[:12]) + (", …" if len(words) > 12 else "")


def condition_hint(spec: ModelSpec) -> str:
    """Return where a model without sliders is told attributes all the same; empty for others."""
    if "attributes" not in spec.conditions:
        return ""
    return "\n\nThis model is told attributes: choose them in the strip under the image."


def sampling_text(sampling: Sampling) -> str:
    """Return settings in one line, as details and tooltips show them."""
    row = sampler(sampling.sampler)
    words = [row.title, f"{sampling.steps} steps", f"guidance {number(sampling.guidance)}"]
    words += [f"eta {number(sampling.eta)}"] if row.noise == "eta" else []
    words += [f"noise seed {sampling.noise_seed}"] if takes_noise(sampling) else []
    words += [f"spacing {sampling.spacing}"] if sampling.spacing != "trailing" else []
    words += [] if sampling.clip else ["not clipped"]
    words += [f"from t = {sampling.start_at}"] if sampling.start_at is not None else []
    words += [f"branch {sampling.branch}"] if sampling.branch else []
    return ", ".join([*words, *frame_words(sampling)])


_SHOWN = {"x0": "predicted image", "x_t": "noisy picture", "eps": "predicted noise"}


def frame_words(sampling: Sampling) -> list[str]:
    """Return which frame of a run is shown; nothing for the result."""
    if sampling.stop_at is None:
        return []
    return [f"step {sampling.stop_at}: {_SHOWN[sampling.show]}"]


_SCHEDULES = {"linear": "linear", "cosine": "cosine", "offset_cosine": "offset cosine"}
_PREDICTIONS = {"epsilon": "the noise", "x0": "the image", "v": "the velocity v"}


def schedule_title(name: str) -> str:
    """Return what a person calls a schedule."""
    return _SCHEDULES.get(name, name.replace("_", " "))


def diffusion_text(facts: DiffusionFacts) -> str:
    """Return how a diffusion model was trained, in one line."""
    betas = (
        f", beta {facts.beta_start:.3g} to {facts.beta_end:.3g}"
        if facts.schedule == "linear"
        else ""
    )
    return (
        f"Diffusion: {schedule_title(facts.schedule)} schedule{betas}, "
        f"{facts.num_timesteps:,} times, predicts {_PREDICTIONS[facts.prediction]}"
    )
