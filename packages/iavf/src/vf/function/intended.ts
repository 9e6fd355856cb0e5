import type { IntendedChange } from "@vfmig/core";
import { VIRTCHNL_OP } from "../../virtchnl/opcodes.ts";
import { RESOURCES_FIELD } from "../../virtchnl/session.ts";
import { formatBits } from "../describe/rx-formats.ts";
import type { VfFamily } from "../family.ts";
import { shownCaps, type UncarriedPolicy } from "../features/features.ts";

const HIDDEN = "what cannot be carried is hidden";

/** What an answer of this kind, written at `iova` with `length` bytes, shows otherwise on purpose. */
export function intendedChange(
  opcode: number,
  iova: number,
  length: number,
  policy: UncarriedPolicy,
  family: VfFamily,
): IntendedChange | undefined {
  const mask = new DataView(new ArrayBuffer(8));
  switch (opcode) {
    case VIRTCHNL_OP.GET_VF_RESOURCES: {
      const end = RESOURCES_FIELD.CAPS + 4;
      mask.setUint32(0, ~shownCaps(policy), true);
      const bytes = new Uint8Array(mask.buffer, 0, 4);
      const why = `the VF's capabilities: ${HIDDEN}`;
      return length < end ? undefined : { iova: iova + RESOURCES_FIELD.CAPS, mask: bytes, why };
    }
    case VIRTCHNL_OP.GET_SUPPORTED_RXDIDS:
      mask.setBigUint64(0, ~formatBits(family), true);
      return length < 8
        ? undefined
        : { iova, mask: new Uint8Array(mask.buffer), why: `Rx formats: ${HIDDEN}` };
    default:
      return undefined;
  }
}
