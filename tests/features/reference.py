"""The formulae behind the golden files' pictures and sounds."""

import hashlib

import numpy as np


def frame_image(frame: int, width: int, height: int) -> np.ndarray:
    """Frame number ``frame`` of a formula video, uint8 [height, width, 3]."""
    x, y = np.arange(width)[None, :], np.arange(height)[:, None]
    red = (3 * x + 5 * y + 7 * frame) % 256
    green = ((x // 4) * (y // 4) + 11 * frame) % 256
    wave = 128 + 100 * np.sin(x / 9.0 + frame / 5.0) * np.cos(y / 7.0 - frame / 11.0)
    return np.stack([red, green, wave.astype(np.int64) % 256], -1).astype(np.uint8)


def sound(name: str, rate: int, seconds: float, channels: int = 1) -> np.ndarray:
    """Chirp, tone, bursts, noise, a quiet stretch and an offset; float32 [channels, N]."""
    count = int(rate * seconds)
    t = np.arange(count) / rate
    rows = []
    for channel in range(channels):
        row = 0.35 * np.sin(2 * np.pi * (180 * t + 0.5 * (2200 / seconds) * t**2) + channel)
        row += 0.2 * np.sin(2 * np.pi * 3100 * t + 3 * np.sin(2 * np.pi * 1.7 * t))
        row *= 0.35 + 0.65 * (np.sin(2 * np.pi * (0.9 + 0.2 * channel) * t) > -0.3)
        digest = hashlib.sha256(f"{name}/{channel}".encode()).digest()
        noise = np.random.default_rng(int.from_bytes(digest[:8], "little")).random(count)
        row += 0.03 * (2 * noise - 1) + 0.02
        row[int(0.42 * count) : int(0.5 * count)] *= 0.01
        rows.append(row)
    samples = np.clip(np.round(np.stack(rows) * 20000), -32768, 32767)
    return (samples / 32768).astype(np.float32)
