import { vfError } from "../errors.ts";
import type { Parts } from "../parts.ts";
import { uncarriedUse } from "./features.ts";

/**
 * Lets a guest go that uses nothing which would be missed elsewhere; says what the operator has agreed
 * to lose.
 *
 * @throws VfmigError `ERR_VFMIG_VF_FEATURE` where the guest uses what no record can hold
 */
export function refuseUncarried({ mailbox, context, family }: Parts): void {
  const { uncarried } = mailbox.conversation;
  const { refused, lost } = uncarriedUse(uncarried, context.options.uncarried);
  if (refused.length > 0) {
    throw vfError(
      family,
      "ERR_VFMIG_VF_FEATURE",
      `the guest has used ${refused.join(", ")}, which cannot be carried to another host; the device stays here until the guest's driver is loaded without it`,
      { features: refused, opcodes: [...uncarried] },
    );
  }
  if (lost.length > 0) {
    context.logger.warn(`the guest loses ${lost.join(", ")} in this move, as the options allow`, {
      features: lost,
    });
  }
}
