"""Draw the bundled sample of cats and dogs.

    python data/draw_sample.py            draw train/ and test/ again, in place
    python data/draw_sample.py FOLDER     draw them there, to compare (diff -r)

Every image has its own seed, so adding images changes none of the others. Sizes, places, colours,
backgrounds, light and noise are distributed alike in both classes: only the animal tells.
Lengths are in head radii; (0, 0) is the middle of the head and y points down.
The bytes are the same with every Pillow from 11.3 to 13.0.
"""

import math
import random
import sys
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFilter

COUNTS = {"train": 70, "test": 30}  # images of each class
ZOOM = 3  # drawn this much larger, then reduced: smooth edges
POSES = {  # head radius / image side, where the head is, where the paws are
    "bust": (0.36, (0, 0.15), 9),
    "sitting": (0.265, (0, -0.78), 2.65),
    "lying": (0.28, (-0.75, -0.2), 1.65),
}
COATS = "#e08a3c #f1dfc0 #8d93a0 #45434d #8a5a3b #faf6ef #d9a85b #6b7a94 #c4a78a #a8543a".split()
BRIGHT = "#e4572e #2e86ab #f6c945 #6a994e #9b5de5 #f28482 #3d5a80 #84dcc6 #f7ede2 #5c677d".split()
EYES = "#e6bd3a #7fb650 #d08c3f #6fa8d6".split()
INK, PINK, ROSE, GOLD, WHITE = "#2a2328 #ec8f9c #d4737c #f8d069 #ffffff".split()


def mix(a, b, share):
    """The colour between a and b; share is that of b, 0 to 1."""
    channels = zip(bytes.fromhex(a[1:]), bytes.fromhex(b[1:]), strict=True)
    return "#" + "".join(f"{round(x + (y - x) * share):02x}" for x, y in channels)


def whole(half):
    """The outline whose right half, from top to bottom, is given."""
    return [*half, *((-x, y) for x, y in half[-2:0:-1])]


def smooth(points, steps=8):
    """A Catmull-Rom spline from the second point to the last but one."""
    points, t = np.array(points, dtype=float)[:, None], np.arange(steps)[:, None] / steps
    a, b, c, d = points[:-3], points[1:-2], points[2:-1], points[3:]
    bends = (2 * a - 5 * b + 4 * c - d) * t**2 + (3 * b - a - 3 * c + d) * t**3
    return [*(b + ((c - a) * t + bends) / 2).reshape(-1, 2), points[-2, 0]]


class Pen:
    """Draws in head radii around a place, turned by an angle, mirrored where flip is -1."""

    def __init__(self, image, place, unit, angle, flip, fur):
        self.draw, self.place, self.unit = ImageDraw.Draw(image), place, unit
        self.cos, self.sin, self.flip, self.fur = math.cos(angle), math.sin(angle), flip, fur

    def pixels(self, points):
        x, y = np.transpose(points) * self.unit
        across = self.place[0] + self.flip * (x * self.cos - y * self.sin)
        down = self.place[1] + x * self.sin + y * self.cos
        return list(zip(across.round().tolist(), down.round().tolist(), strict=True))

    def line(self, points, width, colour, steps=8):
        dots = self.pixels(smooth([points[0], *points, points[-1]], steps))
        radius = max(1, round(width * self.unit / 2))
        self.draw.line(dots, colour, 2 * radius, joint="curve")
        self.draw.circle(dots[0], radius, colour)
        self.draw.circle(dots[-1], radius, colour)

    def shape(self, points, colour, edge=None, furry=False, steps=8):
        points = smooth([points[-1], *points, *points[:2]], steps)  # steps=1 keeps it angular
        if furry:  # every other point moves outwards
            points = [(x * (1 + self.fur * (i % 2)), y) for i, (x, y) in enumerate(points)]
        self.draw.polygon(self.pixels(points), colour)
        if edge:
            self.line([*points, points[1]], 0.05, edge, steps=1)

    def pair(self, right, colour, edge=None, steps=8):
        for points in (right, [(-x, y) for x, y in right]):
            self.shape(points, colour, edge, steps=steps)

    def oval(self, x, y, rx, ry, colour, edge=None):
        angles = [math.tau * i / 12 for i in range(12)]
        self.shape([(x + rx * math.cos(a), y + ry * math.sin(a)) for a in angles], colour, edge)


def draw_background(rng, kind, w, h):
    far, near, other = (mix(c, WHITE, rng.uniform(0.3, 0.7)) for c in rng.sample(BRIGHT, 3))
    image = Image.new("RGB", (w, h), far)
    draw = ImageDraw.Draw(image)
    if kind == "dots":
        for _ in range(rng.randint(12, 40)):
            x, y, r = rng.randrange(w), rng.randrange(h), rng.randint(w // 40, w // 9)
            draw.circle((x, y), r, rng.choice([near, other]))
    elif kind == "stripes":
        step, lean = rng.randint(w // 14, w // 5), rng.randint(-w, w)
        for x in range(-w, 2 * w, 2 * step):
            draw.polygon([(x, 0), (x + step, 0), (x + step + lean, h), (x + lean, h)], near)
    elif kind == "hills":
        draw.circle((rng.randrange(w), rng.randrange(h // 3)), w // rng.randint(8, 14), GOLD)
        for colour, top in ((other, rng.uniform(0.4, 0.6)), (near, rng.uniform(0.6, 0.8))):
            x = rng.uniform(-0.2, 1.2) * w
            draw.ellipse((x - 1.6 * w, top * h, x + 1.6 * w, 4 * h), colour)
    return image


def draw_body(pen, rng, cat, pose, coat, light, edge):
    lying, paws = pose == "lying", POSES[pose][2]
    tail = [(1.6, 2.2), (1.75, 1.4), (1.5, 0.8)] if cat else [(1.4, 1.9), (1.65, 1.4)]
    if pose != "bust":
        tail = [(x + 1.5 * lying, y - 0.5 * lying) for x, y in [(0.8, 2.3), *tail]]
        for colour, width in ((edge, 0.1), (coat, 0)):
            pen.line(tail, width + (0.22 if cat else 0.34), colour)
    if lying:
        back = [(-0.6, 0.5), (0.6, 0.3), (1.9, 0.4), (2.5, 1.2), (2.2, 1.7), (0, 1.7), (-0.8, 1.5)]
        pen.shape(back, coat, edge, furry=True)
        pen.line([(1.3, 1.65), (1.25, 1.1), (1.8, 0.9), (2.2, 1.3)], 0.06, edge)
    else:
        pen.shape(whole([(0, 0.4), (0.7, 1), (1, 2), (1, 2.6), (0, paws)]), coat, edge, furry=True)
        pen.oval(0, 1.4, 0.5, 0.7, light)
    for x in (-0.36, 0.36):
        pen.oval(x, paws, 0.34, 0.2, light, edge)
    pen.line([(-0.62, 0.75), (0, 1.08), (0.62, 0.75)], 0.2, rng.choice(BRIGHT))
    pen.oval(0, 1.16, 0.14, 0.14, GOLD, INK)


def draw_head(pen, rng, cat, coat, light, mark, edge):
    ear, ears, iris = rng.uniform(0.85, 1.15), rng.choice([coat, mark, mark]), rng.choice(EYES)
    if cat:
        head = [(0, -0.8), (0.6, -0.7), (0.97, -0.2), (1.08, 0.25), (0.65, 0.72), (0, 0.85)]
        pen.pair([(0.98, -0.1), (0.82, -1.4 * ear), (0.12, -0.72)], ears, edge, steps=1)
        pen.pair([(0.84, -0.4), (0.76, -1.15 * ear), (0.36, -0.7)], PINK, steps=1)
    else:
        head = [(0, -0.98), (0.6, -0.8), (0.88, -0.2), (0.8, 0.4), (0.5, 0.85), (0, 0.98)]
        long = [(0.5, -0.85), (0.95, -0.8), (1.2, -0.2), (1.2, 0.45), (0.95, 0.7), (0.75, 0.2)]
        short = [(0.3, -0.8), (0.65, -1.1), (1, -1), (1.3, -0.45), (1.15, -0.15), (0.85, -0.4)]
        flap = [(x, y * ear) for x, y in rng.choice([long, long, short])]
    pen.shape(whole(head), coat, edge, furry=True)
    if rng.random() < 0.4:  # stripes on the forehead
        for x in (-0.2, 0, 0.2):
            pen.line([(x, -0.72), (x, -0.5)], 0.09, mark)
    if not cat:
        pen.pair(flap, ears, edge)

    pen.place = pen.pixels([(rng.uniform(-0.18, 0.18), rng.uniform(-0.06, 0.08))])[0]  # the look
    if rng.random() < 0.4:  # a patch over one eye
        pen.oval(0.42, -0.12, 0.34, 0.38, mark)
    if rng.random() < 0.5:
        wide, tip = (0.11, 0.76) if cat else (0.17, 1.1)
        pen.shape(whole([(0, 0.45), (wide, 0.45), (wide, tip - 0.1), (0, tip)]), PINK, INK)
    if cat:
        pen.pair([(0.15, -0.06), (0.42, -0.36), (0.69, -0.18), (0.42, 0.08)], iris, INK)
        pen.shape(whole([(0, 0.34), (0.25, 0.33), (0.38, 0.5), (0.2, 0.64), (0, 0.56)]), light)
        pen.shape([(-0.14, 0.24), (0.14, 0.24), (0, 0.4)], ROSE, edge, steps=1)
    else:
        pen.shape(whole([(0, 0.04), (0.36, 0.27), (0.46, 0.6), (0, 0.78)]), light)
        pen.shape(whole([(0, 0.12), (0.24, 0.18), (0.14, 0.4), (0, 0.45)]), INK)
        pen.oval(-0.07, 0.22, 0.06, 0.03, WHITE)
    for s in (-1, 1):
        if cat:
            for rise in (-0.2, 0.02, 0.22):
                whisker = [(0.28 * s, 0.44 + rise / 3), (1.2 * s, 0.42 + rise)]
                pen.line(whisker, 0.035, mix(edge, WHITE, 0.25))
        else:
            pen.oval(0.42 * s, -0.12, 0.19, 0.21, iris, INK)
        pen.oval(0.42 * s, -0.11, *((0.07, 0.18) if cat else (0.14, 0.16)), INK)
        pen.oval(0.42 * s + 0.06, -0.19, 0.045, 0.045, WHITE)
        pen.line([(0, 0.38), (0.09 * s, 0.54), (0.3 * s, 0.52)], 0.05, INK)  # the mouth


def light_and_noise(rng, image):
    w, h = image.size
    down, across = np.mgrid[-1 : 1 : h * 1j, -1 : 1 : w * 1j]
    slope = rng.uniform(-0.25, 0.25) * across + rng.uniform(-0.25, 0.25) * down
    light = (rng.uniform(0.8, 1.1) + slope)[..., None]
    tint, grain = [rng.uniform(0.9, 1.08) for _ in "rgb"], rng.choice([2, 4, 6, 9])
    noise = np.random.default_rng(rng.getrandbits(32)).integers(-grain, grain + 1, (h, w, 3))
    pixels = np.asarray(image) * light * tint + noise
    return Image.fromarray(pixels.clip(0, 255).round().astype(np.uint8))


def draw_image(split, label, number):
    rng, cat = random.Random(f"{split}/{label}/{number}"), label == "cat"
    kind = ("plain", "dots", "stripes", "hills")[number % 4]
    pose = ("bust", "sitting", "bust", "lying", "sitting")[number % 5]
    w, h = rng.randint(96, 152) * ZOOM, rng.randint(96, 152) * ZOOM
    image, animal = draw_background(rng, kind, w, h), Image.new("RGBA", (w, h))

    coat, mark = (mix(c, WHITE, rng.uniform(0, 0.15)) for c in rng.sample(COATS, 2))
    light, edge = mix(coat, WHITE, 0.6), mix(coat, INK, 0.7)
    scale, (dx, dy), _ = POSES[pose]
    unit, flip = min(w, h) * scale * rng.uniform(0.9, 1.1), rng.choice([-1, 1])
    place = w * rng.uniform(0.38, 0.62) + flip * dx * unit, h * rng.uniform(0.44, 0.56) + dy * unit
    lean, nod, fur = rng.uniform(-0.15, 0.15), rng.uniform(-0.3, 0.3), rng.choice([0, 0.08])
    body, head = (Pen(animal, place, unit, angle, flip, fur) for angle in (lean, nod))
    draw_body(body, rng, cat, pose, coat, light, edge)
    draw_head(head, rng, cat, coat, light, mark, edge)

    shadow = animal.getchannel("A").point(lambda alpha: alpha * 0.45)
    shadow = shadow.filter(ImageFilter.GaussianBlur(unit / 8))
    image.paste(INK, (round(unit / 8), round(unit / 6)), shadow)
    image.paste(animal, (0, 0), animal)
    return light_and_noise(rng, image.resize((w // ZOOM, h // ZOOM), Image.Resampling.LANCZOS))


def draw_sample(folder):
    for split, count in COUNTS.items():
        for label in ("cat", "dog"):
            (folder / split / label).mkdir(parents=True, exist_ok=True)
            for number in range(count):
                image = draw_image(split, label, number)
                image.save(folder / split / label / f"{number:03}.jpg", quality=85)


if __name__ == "__main__":
    draw_sample(Path(sys.argv[1] if len(sys.argv) > 1 else Path(__file__).parent))
