import { countedMoves } from "../igb/counted-moves.ts";
import { serveVfs } from "../igb/served.ts";
import type { BedCase, Figures } from "../inside/bed-case.ts";

const MOVES = 20;
/** Frames a second that arrive; the guest sends somewhat fewer. */
const RATE = 400;

async function relayed(): Promise<Figures> {
  await using served = await serveVfs();
  return (await countedMoves(served, MOVES, RATE)).figures;
}

export const cases: readonly BedCase[] = [
  {
    name: `a guest moves ${MOVES} times between two VFs of one PF, with its address and without losing a frame`,
    limitSeconds: 480,
    run: relayed,
  },
];
