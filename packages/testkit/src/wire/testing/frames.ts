/** A frame between two stations, whose last byte of address is given; 0xff is everybody. */
export function frameOf(to: number, from: number, mark = 0, length = 60): Uint8Array<ArrayBuffer> {
  const frame = new Uint8Array(length);
  if (to === 0xff) frame.fill(0xff, 0, 6);
  else frame.set([2, 0, 0, 0, 0, to]);
  frame.set([2, 0, 0, 0, 0, from, 0x88, 0xb5, mark].slice(0, length - 6), 6);
  return frame;
}
