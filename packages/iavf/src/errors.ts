import { VfmigError } from "@vfmig/core";

/** A virtchnl body whose length, count or content breaks the protocol. */
export function bodyError(
  what: string,
  problem: string,
  details: Readonly<Record<string, unknown>>,
): VfmigError {
  return new VfmigError(
    "ERR_VFMIG_VIRTCHNL_BODY",
    `virtchnl ${what}: ${problem}; the message is not used`,
    { layer: "plugin:iavf", details: { message: what, ...details } },
  );
}
