"""The head and what is on it: age, eyes, nose, mouth, mustache, eyeglasses."""

from __future__ import annotations

import torch
from torch import Tensor

from latentlab.data.portraits.canvas import Canvas, both, ellipse, rounded_box
from latentlab.data.portraits.scene import Scene

TOP = -0.58
"""Upper end of the skull, in head units."""


def _color(scene: Scene, red: float, green: float, blue: float) -> Tensor:
    return scene.skin.new_tensor([[red, green, blue]])


def paint_head(canvas: Canvas, scene: Scene) -> None:
    """Paint neck, ears, and the face with its light and its cheeks."""
    neck = canvas.head(-0.6, 0.6, 0.2, 1)
    throat = both(
        neck.u.abs() - 0.19 - 0.25 * (neck.v - 0.62).clamp_min(0),
        neck.v - 0.88 + 2.5 * neck.u.square(),
    )
    neck.fill(throat, scene.skin * 0.83)
    ears = canvas.head(-0.95, 0.95, -0.45, 0.5)
    for side in (-1, 1):
        place = side * (scene.half_width - 0.005) - scene.turn * 0.45
        ears.fill(ellipse(ears.u - place, ears.v - 0.03, 0.085, 0.125), scene.skin * 0.92)
    face = canvas.head(-0.9, 0.9, -0.95, 0.9)
    u, v = face.u, face.v
    jaw = 1 - 0.24 * ((v - 0.05) / 0.6).clamp(0, 1).square()
    middle, half_height = (scene.chin + TOP) / 2, (scene.chin - TOP) / 2
    shape = ellipse(u / jaw, v - middle, scene.half_width, half_height)
    light = 1 + 0.40 * scene["light_direction"] * u
    rim = 1 - 0.9 * (shape + 0.10).clamp(0, 0.10)
    lit = scene.skin[:, :, None, None] * (light * rim)[:, None]
    face.paint(face.coverage(shape), lit.clamp(0, 1))
    blush = torch.lerp(scene.skin, _color(scene, 0.93, 0.42, 0.40), 0.55)
    for side in (-1, 1):
        x = (u - side * 0.25 - scene.turn) / 0.13
        glow = 1 - x.square() - ((v - 0.19) / 0.10).square()
        face.paint(0.32 * glow.clamp_min(0), blush)


def paint_age(canvas: Canvas, scene: Scene) -> None:
    """Paint lines of the forehead, folds beside the mouth and bags under the eyes."""
    region = canvas.head(-0.7, 0.7, -0.75, 0.7)
    u, v = region.u - scene.turn, region.v
    age = 0.5 * (scene["age"] + 1)
    dark = scene.skin * 0.58
    for height in (-0.165, -0.225):
        crease = (v - height - 0.25 * u.square()).abs() - 0.010
        region.fill(both(crease, u.abs() - 0.085), dark, age * 0.55)
    for side in (-1, 1):
        bag = ellipse(u - side * scene.eye_x, v - scene.eye_y - 0.135, 0.115, 0.045)
        region.fill(bag, scene.skin * 0.78, age * 0.8, softness=2.0)
        crow = (u * side - scene.eye_x - 0.165).abs() - 0.035
        for slope in (-0.5, 0.5):
            line = v - scene.eye_y - slope * (u * side - scene.eye_x - 0.12)
            region.fill(both(crow, line.abs() - 0.010), dark, age * 0.6)
        fold = (u * side - 0.15 - 0.28 * (v - 0.16)).abs() - 0.015
        region.fill(both(fold, (v - 0.25).abs() - 0.095), dark, age * 0.75)


def paint_eyes(canvas: Canvas, scene: Scene) -> None:
    """Paint eyes and brows."""
    yaw = scene["yaw"]
    for side in (-1, 1):
        span = (-0.75, 0.3) if side < 0 else (-0.3, 0.75)
        region = canvas.head(*span, -0.55, 0.4)
        u, v = region.u - side * scene.eye_x - scene.turn, region.v - scene.eye_y
        white = ellipse(u, v, 0.110 * (1 - 0.10 * side * yaw), 0.082)
        inside = region.coverage(white)
        region.paint(inside, _color(scene, 0.98, 0.98, 0.99))
        iris_u = u - yaw * 0.014
        region.paint(region.coverage(ellipse(iris_u, v, 0.071, 0.071)) * inside, scene.eyes)
        pupil = ellipse(iris_u, v, 0.027, 0.027)
        region.paint(region.coverage(pupil) * inside, _color(scene, 0.05, 0.04, 0.06))
        glint = ellipse(iris_u + 0.024, v + 0.028, 0.015, 0.015)
        region.fill(glint, _color(scene, 1, 1, 1))
        region.fill(both(white.abs() - 0.014, v + 0.01), _color(scene, 0.16, 0.11, 0.11))
        height = 0.150 + 0.014 * scene.nuisance["brow_height"]
        slope = (0.05 + 0.05 * scene.nuisance["brow_slope"]) * side
        arch = v + height - 1.1 * u.square() - slope * u
        brow = both(arch.abs() - 0.020, u.abs() - 0.115)
        region.fill(brow, scene.hair * 0.55)


def paint_nose(canvas: Canvas, scene: Scene) -> None:
    """Paint a nose that goes from a small round one to a long, pointed one."""
    region = canvas.head(-0.5, 0.5, -0.3, 0.5)
    u, v = region.u - scene.turn * 1.3, region.v
    pointed = 0.5 * (scene["pointy_nose"] + 1)
    tip = 0.165 + 0.075 * pointed
    light = (scene.skin * 1.15 + 0.06).clamp_max(1)
    ball = ellipse(u, v - 0.145, 0.112 - 0.02 * pointed, 0.07)
    region.fill(ball, scene.skin * 0.72, (1 - pointed) * 0.95, softness=1.3)
    shine = ellipse(u + 0.022, v - 0.132, 0.052, 0.033)
    region.fill(shine, light, (1 - pointed) * 0.75, softness=1.3)
    # The wedge stays below the bridge of eyeglasses, so that neither tells on the other.
    length = 0.09 + 0.13 * pointed
    along = ((v - tip + length) / length).clamp(0, 1)
    top = tip - length - v
    wedge = both((u - 0.03 * along).abs() - 0.14 * along, v - tip + 0.30 * u.abs(), top)
    region.fill(wedge, scene.skin * 0.42, pointed * 0.95)
    ridge = both((u + 0.034).abs() - 0.050 * along, v - tip + 0.035, top)
    region.fill(ridge, light, pointed * 0.85)


def paint_mouth(canvas: Canvas, scene: Scene) -> None:
    """Paint the mouth: a curve that bends from a frown to an open smile with teeth."""
    region = canvas.head(-0.6, 0.6, 0.1, 0.8)
    smile = scene["smiling"]
    half = 0.180 + 0.030 * smile + 0.012 * scene.nuisance["mouth_width"]
    u, v = region.u - scene.turn * 1.05, region.v - 0.365
    across = u / half
    # A frown has no teeth to tell it by: it bends more than a smile.
    bend = smile * torch.where(smile < 0, 0.17, 0.10) * (across.square() - 0.4)
    opening = (smile * 0.13).clamp_min(0) * (1 - across.square()).clamp_min(0)
    upper, lower = -bend, opening - bend
    ends = u.abs() - half
    lips = torch.lerp(scene.skin * 0.68, _color(scene, 0.74, 0.22, 0.27), 0.65)
    region.fill(both(upper - v - 0.026, v - lower - 0.030, ends), lips)
    gap = both(upper - v + 0.002, v - lower + 0.002, ends + 0.012)
    region.fill(gap, _color(scene, 0.99, 0.98, 0.96))


def paint_mustache(canvas: Canvas, scene: Scene) -> None:
    """Paint the mustache: hair-coloured, with a rim that stands out from any skin."""
    region = canvas.head(-0.6, 0.6, 0.0, 0.6)
    u, v = region.u - scene.turn * 1.15, region.v
    middle = v - 0.268 - 1.1 * u.square()
    shape = both(middle.abs() - 0.052 * (1 - (u / 0.24).square()).clamp_min(0), u.abs() - 0.21)
    region.fill(shape - 0.008, scene.skin * 0.35, scene["mustache"])
    region.fill(shape + 0.012, scene.hair * 0.62, scene["mustache"])


def paint_glasses(canvas: Canvas, scene: Scene) -> None:
    """Paint dark frames, a bridge, arms and slightly tinted lenses."""
    region = canvas.head(-0.95, 0.95, -0.45, 0.4)
    u, v, on = region.u - scene.turn, region.v - scene.eye_y, scene["eyeglasses"]
    frame = _color(scene, 0.08, 0.08, 0.10)
    for side in (-1, 1):
        rim = rounded_box(u - side * (scene.eye_x + 0.006), v - 0.006, 0.163, 0.132, 0.07)
        region.fill(rim, _color(scene, 0.75, 0.86, 0.96), on * 0.15)
        region.fill(rim.abs() - 0.021, frame, on)
    region.fill(both((v + 0.02).abs() - 0.018, u.abs() - 0.05), frame, on)
    arms = both((v + 0.03).abs() - 0.016, scene.eye_x + 0.16 - u.abs())
    region.fill(both(arms, region.u.abs() - scene.half_width - 0.03), frame, on)
