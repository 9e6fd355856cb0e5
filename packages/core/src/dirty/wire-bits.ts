/**
 * ORs 32 bits into a bitmap (least significant bit first) at bit `at`, which may be above -32; bits
 * that would fall outside must be 0.
 */
export function orWord(bitmap: Uint8Array, at: number, word: number): void {
  if (at < 0) {
    orWord(bitmap, 0, word >>> -at);
    return;
  }
  const byte = Math.floor(at / 8);
  const shift = at - byte * 8;
  const low = word << shift;
  orByte(bitmap, byte, low & 0xff);
  orByte(bitmap, byte + 1, (low >>> 8) & 0xff);
  orByte(bitmap, byte + 2, (low >>> 16) & 0xff);
  orByte(bitmap, byte + 3, low >>> 24);
  if (shift !== 0) orByte(bitmap, byte + 4, word >>> (32 - shift));
}

function orByte(bitmap: Uint8Array, at: number, bits: number): void {
  if (bits !== 0) bitmap[at] = (bitmap[at] ?? 0) | bits;
}

/** Sets bits `[from, to)`. */
export function fillBits(bitmap: Uint8Array, from: number, to: number): void {
  if (from >= to) return;
  const first = Math.floor(from / 8);
  const last = Math.floor((to - 1) / 8);
  const head = 0xff & (0xff << (from - first * 8));
  const tail = 0xff >>> (7 - (to - 1 - last * 8));
  if (first === last) {
    orByte(bitmap, first, head & tail);
    return;
  }
  orByte(bitmap, first, head);
  bitmap.fill(0xff, first + 1, last);
  orByte(bitmap, last, tail);
}

/** ORs `from` into `bitmap` at byte `at`; `zeros` are zero bytes, as many as `from` has or more. */
export function orBytes(
  bitmap: Uint8Array,
  view: Buffer,
  at: number,
  from: Uint8Array,
  zeros: Uint8Array,
): void {
  const end = at + from.length;
  // Comparing and copying are native; where the user zeroed the bitmap, that is the whole work.
  if (view.compare(zeros, 0, from.length, at, end) === 0) {
    bitmap.set(from, at);
    return;
  }
  for (let i = 0; i < from.length; i++) bitmap[at + i] = (bitmap[at + i] ?? 0) | (from[i] ?? 0);
}
