// Makes the picture of a page smaller: as a PNG of 256 colours, which is more than a page has but for the edges of its letters.

import { crc32, deflateSync, inflateSync } from "node:zlib";

const HEAD_BYTES = 8;
const COLOURS = 256;

/// The same picture in about a third of the bytes.
export function packed(png) {
  const chunks = [...chunksOf(png)];
  const head = Buffer.from(chunks.find(({ type }) => type === "IHDR").body);
  const [width, height, depth, kind] = [head.readUInt32BE(0), head.readUInt32BE(4), head[8], head[9]];
  const samples = { 2: 3, 6: 4 }[kind];
  if (depth !== 8 || !samples) throw new Error(`a PNG of kind ${kind} with ${depth} bits`);
  const data = inflateSync(Buffer.concat(chunks.filter(({ type }) => type === "IDAT").map(({ body }) => body)));
  const pixels = unfiltered(data, width * samples, height, samples);
  const { palette, rows } = indexed(pixels, width, height, samples);
  head[9] = 3;
  const parts = [["IHDR", head], ["PLTE", palette], ["IDAT", deflateSync(rows, { level: 9 })], ["IEND", Buffer.alloc(0)]];
  return Buffer.concat([png.subarray(0, HEAD_BYTES), ...parts.map(written)]);
}

function* chunksOf(png) {
  for (let at = HEAD_BYTES; at < png.length; ) {
    const length = png.readUInt32BE(at);
    yield { type: png.toString("latin1", at + 4, at + 8), body: png.subarray(at + 8, at + 8 + length) };
    at += 12 + length;
  }
}

/// Bytes as they were before each line was written as differences to its neighbours.
function unfiltered(data, line, height, samples) {
  const pixels = Buffer.alloc(line * height);
  for (let row = 0; row < height; row += 1) {
    const filter = data[row * (line + 1)];
    for (let column = 0; column < line; column += 1) {
      const at = row * line + column;
      const left = column >= samples ? pixels[at - samples] : 0;
      const above = row > 0 ? pixels[at - line] : 0;
      const corner = row > 0 && column >= samples ? pixels[at - line - samples] : 0;
      const expected = [0, left, above, (left + above) >> 1, nearest(left, above, corner)][filter];
      pixels[at] = data[row * (line + 1) + 1 + column] + expected;
    }
  }
  return pixels;
}

function nearest(left, above, corner) {
  const guess = left + above - corner;
  const off = [left, above, corner].map((one) => Math.abs(guess - one));
  if (off[0] <= off[1] && off[0] <= off[2]) return left;
  return off[1] <= off[2] ? above : corner;
}

/// The most frequent colours, and each pixel as the nearest of them.
function indexed(pixels, width, height, samples) {
  const counts = new Map();
  const colourAt = (at) => (pixels[at] << 16) | (pixels[at + 1] << 8) | pixels[at + 2];
  for (let at = 0; at < pixels.length; at += samples) counts.set(colourAt(at), (counts.get(colourAt(at)) ?? 0) + 1);
  const chosen = [...counts].sort((one, other) => other[1] - one[1]).slice(0, COLOURS).map(([colour]) => colour);
  const places = new Map(chosen.map((colour, place) => [colour, place]));
  const place = (colour) => {
    if (!places.has(colour)) places.set(colour, chosen.reduce((best, one, index) => (distance(one, colour) < distance(chosen[best], colour) ? index : best), 0));
    return places.get(colour);
  };
  const rows = Buffer.alloc((width + 1) * height);
  for (let row = 0; row < height; row += 1) {
    for (let column = 0; column < width; column += 1) rows[row * (width + 1) + 1 + column] = place(colourAt((row * width + column) * samples));
  }
  return { palette: Buffer.from(chosen.flatMap((colour) => [colour >> 16, (colour >> 8) & 255, colour & 255])), rows };
}

function distance(one, other) {
  const off = [16, 8, 0].map((shift) => ((one >> shift) & 255) - ((other >> shift) & 255));
  return 2 * off[0] ** 2 + 4 * off[1] ** 2 + 3 * off[2] ** 2;
}

function written([type, body]) {
  const named = Buffer.concat([Buffer.from(type, "latin1"), body]);
  const [length, sum] = [Buffer.alloc(4), Buffer.alloc(4)];
  length.writeUInt32BE(body.length);
  sum.writeUInt32BE(crc32(named));
  return Buffer.concat([length, named, sum]);
}
