import { cliCodes } from "./codes/cli.ts";
import { configCodes } from "./codes/config.ts";
import { deviceCodes } from "./codes/device.ts";
import { hostCodes } from "./codes/host.ts";
import { iavfCodes } from "./codes/iavf.ts";
import { igbCodes } from "./codes/igb.ts";
import { linuxCodes } from "./codes/linux.ts";
import { migrationCodes } from "./codes/migration.ts";
import { pluginCodes } from "./codes/plugin.ts";
import { recordCodes } from "./codes/record.ts";
import { shadowQueueCodes } from "./codes/shadow-queue.ts";
import { stateCodes } from "./codes/state.ts";
import { testkitCodes } from "./codes/testkit.ts";
import { vfioPciCodes } from "./codes/vfio-pci.ts";
import { vfioUserCodes } from "./codes/vfio-user.ts";

/** What a code means and what its reader should do; the source of the errors page. */
export interface ErrorCodeEntry {
  /** One sentence: what happened. */
  readonly means: string;
  /** One sentence: what to do about it. */
  readonly remedy: string;
}

type AllCodes = typeof cliCodes &
  typeof configCodes &
  typeof deviceCodes &
  typeof hostCodes &
  typeof iavfCodes &
  typeof igbCodes &
  typeof linuxCodes &
  typeof migrationCodes &
  typeof pluginCodes &
  typeof recordCodes &
  typeof shadowQueueCodes &
  typeof stateCodes &
  typeof testkitCodes &
  typeof vfioPciCodes &
  typeof vfioUserCodes;

/** Every `ERR_VFMIG_*` code of every package: the one table. */
export const ERROR_CODES: AllCodes = {
  ...cliCodes,
  ...configCodes,
  ...deviceCodes,
  ...hostCodes,
  ...iavfCodes,
  ...igbCodes,
  ...linuxCodes,
  ...migrationCodes,
  ...pluginCodes,
  ...recordCodes,
  ...shadowQueueCodes,
  ...stateCodes,
  ...testkitCodes,
  ...vfioPciCodes,
  ...vfioUserCodes,
} satisfies Record<`ERR_VFMIG_${string}`, ErrorCodeEntry>;
