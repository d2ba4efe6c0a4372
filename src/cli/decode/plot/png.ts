import { crc32, deflateSync } from 'node:zlib';

/**
 * A PNG file (ISO/IEC 15948) of 8-bit RGB: signature, IHDR, text, IDAT, IEND; each chunk is
 *
 *   length:4 type:4 data:length crc32(type, data):4
 *
 * Rows are filtered by the row above (type 2), which suits pictures of flat areas.
 */
const SIGNATURE = Buffer.from([0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a]);
const BYTES_PER_PIXEL = 3;
const BIT_DEPTH = 8;
const COLOUR_RGB = 2;
const FILTER_UP = 2;

export interface Pixels {
  readonly width: number;
  readonly height: number;
  /** RGB, row by row. */
  readonly bytes: Uint8Array;
}

/** `texts`: keyword and Latin-1 text, as `Title` or `Software` (§11.3.4.2). */
export function encodePng({ width, height, bytes }: Pixels, texts: Readonly<Record<string, string>>): Buffer {
  const header = Buffer.alloc(13);
  header.writeUInt32BE(width, 0);
  header.writeUInt32BE(height, 4);
  header.set([BIT_DEPTH, COLOUR_RGB, 0, 0, 0], 8);
  const row = width * BYTES_PER_PIXEL;
  const filtered = Buffer.alloc(height * (row + 1));
  for (let y = 0; y < height; y += 1) {
    const to = y * (row + 1);
    filtered[to] = FILTER_UP;
    for (let x = 0; x < row; x += 1) {
      const above = y === 0 ? 0 : (bytes[(y - 1) * row + x] ?? 0);
      filtered[to + 1 + x] = ((bytes[y * row + x] ?? 0) - above) & 0xff;
    }
  }
  const textChunks = Object.entries(texts).map(([keyword, text]) =>
    chunk('tEXt', Buffer.from(`${keyword}\0${text}`, 'latin1')),
  );
  const data = deflateSync(filtered, { level: 9 });
  return Buffer.concat([SIGNATURE, chunk('IHDR', header), ...textChunks, chunk('IDAT', data), chunk('IEND')]);
}

function chunk(type: string, data: Buffer = Buffer.alloc(0)): Buffer {
  const typed = Buffer.concat([Buffer.from(type, 'latin1'), data]);
  const bytes = Buffer.alloc(typed.length + 8);
  bytes.writeUInt32BE(data.length, 0);
  typed.copy(bytes, 4);
  bytes.writeUInt32BE(crc32(typed), typed.length + 4);
  return bytes;
}
