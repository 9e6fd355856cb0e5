import { rxTail, txTail, VF_REGISTER_COUNT } from "@vfmig/iavf";
import type { TailReads } from "./options.ts";
import type { Registers } from "./registers.ts";

/** Makes the tails of all queues read as `reads` says; what is written to them counts as ever. */
export function hookTailReads(registers: Registers, reads: TailReads): void {
  if (reads === "written") return;
  let noise = 0;
  const read = (): number => {
    if (reads === "zero") return 0;
    // The upper bits of a Weyl sequence: never the same twice in a row.
    noise = (noise + 0x9e37_79b1) >>> 0;
    return noise >>> 16;
  };
  for (let queue = 0; queue < VF_REGISTER_COUNT.queues; queue++) {
    registers.hook(txTail(queue), { read });
    registers.hook(rxTail(queue), { read });
  }
}
