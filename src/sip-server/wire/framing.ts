export type Frames =
  | { readonly kind: 'frames'; readonly payloads: string[] }
  | { readonly kind: 'fault'; readonly reason: string };

const LENGTH_DIGITS_MAX = 5;

/** `<len>#<payload>`, length in bytes, at most five digits; a sixth or a non-digit ends the connection. */
export class WireFraming {
  #pending: Buffer = Buffer.alloc(0);

  push(bytes: Buffer): Frames {
    let pending = this.#pending.length === 0 ? bytes : Buffer.concat([this.#pending, bytes]);
    const payloads: string[] = [];
    for (;;) {
      let digits = 0;
      let length = 0;
      while (digits < pending.length && digits <= LENGTH_DIGITS_MAX) {
        const byte = pending[digits] ?? 0;
        if (byte === 35) break;
        if (byte < 48 || byte > 57) return { kind: 'fault', reason: 'length is not a number' };
        length = length * 10 + (byte - 48);
        digits++;
      }
      if (digits > LENGTH_DIGITS_MAX) return { kind: 'fault', reason: 'length has more than five digits' };
      if (digits < pending.length && digits === 0) return { kind: 'fault', reason: 'length is missing' };
      const end = digits + 1 + length;
      if (digits >= pending.length || pending.length < end) {
        this.#pending = pending;
        return { kind: 'frames', payloads };
      }
      payloads.push(pending.toString('latin1', digits + 1, end));
      pending = pending.subarray(end);
    }
  }
}
