import type { BaseGrant } from "@vfmig/core";
import type { GrantChannel } from "../granting/grant-channel.ts";
import type { DeviceStart } from "./protocol.ts";

/** The first descriptor after those that every process has: input, output, errors, and the channel. */
const FIRST_FD = 4;

/** Descriptors as the new process numbers them, in the order in which it inherits them. */
export function inherit(
  grant: BaseGrant | undefined,
  channel: GrantChannel | undefined,
): {
  readonly stdio: readonly number[];
  readonly start: Pick<DeviceStart, "grant" | "grantChannel">;
} {
  const names = Object.keys(grant?.fds ?? {});
  const fds = Object.fromEntries(names.map((name, i) => [name, FIRST_FD + i]));
  const given = Object.values(grant?.fds ?? {});
  return {
    stdio: channel === undefined ? given : [...given, channel.remote],
    start: {
      ...(grant === undefined ? {} : { grant: { fds, facts: grant.facts } }),
      ...(channel === undefined ? {} : { grantChannel: FIRST_FD + names.length }),
    },
  };
}
