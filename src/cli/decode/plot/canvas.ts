import { ADVANCE, glyph } from './font.ts';
import type { Pixels } from './png.ts';

/** Red, green, blue, 0 to 255. */
export type Colour = readonly [number, number, number];

export interface TextStyle {
  readonly colour: Colour;
  /** Pixels of the picture to one of the font. */
  readonly scale?: number;
  readonly align?: 'left' | 'centre' | 'right';
}

const CHANNELS = 3;

/** A picture to draw on; what lies outside is not drawn. */
export class Canvas implements Pixels {
  readonly width: number;
  readonly height: number;
  readonly bytes: Uint8Array;

  constructor(width: number, height: number, background: Colour) {
    this.width = width;
    this.height = height;
    this.bytes = new Uint8Array(width * height * CHANNELS);
    this.fill(0, 0, width, height, background);
  }

  /** `opacity` from 0 to 1. */
  point(x: number, y: number, colour: Colour, opacity = 1): void {
    if (x < 0 || y < 0 || x >= this.width || y >= this.height) return;
    const at = (y * this.width + x) * CHANNELS;
    for (let channel = 0; channel < CHANNELS; channel += 1) {
      const below = this.bytes[at + channel] ?? 0;
      this.bytes[at + channel] = Math.round(below + ((colour[channel] ?? 0) - below) * opacity);
    }
  }

  fill(x: number, y: number, width: number, height: number, colour: Colour, opacity = 1): void {
    for (let row = y; row < y + height; row += 1) {
      for (let column = x; column < x + width; column += 1) this.point(column, row, colour, opacity);
    }
  }

  outline(x: number, y: number, width: number, height: number, colour: Colour): void {
    this.fill(x, y, width, 1, colour);
    this.fill(x, y + height - 1, width, 1, colour);
    this.fill(x, y, 1, height, colour);
    this.fill(x + width - 1, y, 1, height, colour);
  }

  /** `y` is the top of capital letters. */
  text(x: number, y: number, text: string, { colour, scale = 1, align = 'left' }: TextStyle): void {
    const width = textWidth(text, scale);
    let left = align === 'left' ? x : align === 'right' ? x - width : x - Math.floor(width / 2);
    for (const letter of text) {
      for (const [row, ink] of glyph(letter).entries()) {
        for (let column = 0; column < ink.length; column += 1) {
          if (ink[column] === '#') this.fill(left + column * scale, y + row * scale, scale, scale, colour);
        }
      }
      left += ADVANCE * scale;
    }
  }
}

export function textWidth(text: string, scale = 1): number {
  return Math.max(0, [...text].length * ADVANCE - 1) * scale;
}
