// An exported ONNX file in a browser: images in, labels and scores out, as graft gives them in Python.
import * as ort from "./ort.wasm.bundle.min.mjs";

ort.env.wasm.numThreads = 1; // more need a page that is cross-origin isolated

/** Load a model: {card, predict}, where predict(blob) -> {label, score, scores} of one image. */
export async function load(url) {
    const response = await fetch(url);
    if (!response.ok) throw new Error(`${url}: ${response.status} ${response.statusText}`);
    const file = new Uint8Array(await response.arrayBuffer());
    const card = readCard(file);
    const session = await ort.InferenceSession.create(file, { logSeverityLevel: 3 }); // errors only
    const predict = async (blob) => {
        const { image_size: size, channels } = card;
        const pixels = Float32Array.from(await decode(blob, size, channels));
        const images = new ort.Tensor("float32", pixels, [1, size, size, channels]);
        const scores = Array.from((await session.run({ images })).scores.data);
        // The class of the highest score, the first on a tie; of two classes the second from 0.5 on.
        const best = scores.length === 2 ? Number(scores[1] >= 0.5) : scores.indexOf(Math.max(...scores));
        return { label: card.classes[best], score: scores[best], scores };
    };
    return { card, predict };
}

/** The card: an entry of the metadata, fields 14 of the file's outermost protobuf message. */
export function readCard(file) {
    let at = 0;
    const text = (start, end) => new TextDecoder().decode(file.subarray(start, end));
    const varint = () => {
        let value = 0, factor = 1, byte;
        do {
            byte = file[at++];
            value += (byte & 127) * factor;
            factor *= 128;
        } while (byte > 127);
        return value;
    };
    while (at < file.length) {
        const tag = varint(), length = varint(), end = at + length;
        if (tag % 8 !== 2) continue; // a number, read as the length
        if (tag >> 3 === 14) {
            varint();
            const key = varint(), name = text(at, at + key);
            at += key;
            varint();
            const value = varint();
            if (name === "graft.json") return JSON.parse(text(at, at + value));
        }
        at = end;
    }
    throw new Error("no card of graft: this file was not written by `graft export`");
}

/** Decode an image to size x size x channels bytes. */
async function decode(blob, size, channels) {
    const options = { colorSpaceConversion: "none", premultiplyAlpha: "none" };
    const bitmap = await createImageBitmap(blob, options); // upright, as EXIF says
    const { width, height } = bitmap;
    const context = new OffscreenCanvas(width, height).getContext("2d", { willReadFrequently: true });
    context.drawImage(bitmap, 0, 0);
    const { data } = context.getImageData(0, 0, width, height);
    const pixels = new Uint8Array(width * height * channels);
    for (let i = 0; i < width * height; i++) {
        const [r, g, b] = data.subarray(4 * i, 4 * i + 3);
        if (channels === 3) pixels.set([r, g, b], 3 * i);
        else pixels[i] = (19595 * r + 38470 * g + 7471 * b + 32768) >> 16; // ITU-R 601, as Pillow
    }
    return resize(pixels, width, height, size, channels);
}

/** Resize to a square, bilinear and antialiased: the bytes of Pillow's Image.resize, not only its idea. */
export function resize(pixels, width, height, size, channels) {
    const across = (from, lines) => pass(from, width, size, lines, channels, channels, width * channels, size * channels);
    const down = (from, row) => pass(from, height, size, row, channels, row * channels, channels, channels);
    const tall = height > 2 * Math.max(width, size) - size; // which Pillow, since 13, takes in the other order
    return tall ? across(down(pixels, width), size) : down(across(pixels, height), size);
}

// One axis: `length` values, `step` apart, become `size`, in each of `lines` lines, which are `stride` apart
// and then `toStride`.
function pass(pixels, length, size, lines, channels, step, stride, toStride) {
    const result = new Uint8Array(lines * size * channels);
    const scale = length / size, width = Math.max(scale, 1);
    for (let to = 0; to < size; to++) {
        const centre = (to + 0.5) * scale;
        const first = Math.max(0, Math.trunc(centre - width + 0.5));
        const last = Math.min(length, Math.trunc(centre + width + 0.5));
        const weights = [];
        for (let from = first; from < last; from++)
            weights.push(Math.max(0, 1 - Math.abs((from - centre + 0.5) / width)));
        const total = weights.reduce((a, b) => a + b, 0);
        const fixed = weights.map((weight) => Math.trunc(0.5 + (weight / total) * 2 ** 22));
        for (let line = 0; line < lines; line++)
            for (let channel = 0; channel < channels; channel++) {
                let sum = 2 ** 21;
                for (let i = 0; i < fixed.length; i++)
                    sum += pixels[line * stride + (first + i) * step + channel] * fixed[i];
                result[line * toStride + to * step + channel] = Math.min(255, Math.floor(sum / 2 ** 22));
            }
    }
    return result;
}
