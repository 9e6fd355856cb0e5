import { mkdir, mkdtemp, rm, symlink, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { silentLogger, systemClock } from "@vfmig/core";
import { openHost } from "@vfmig/host";
import { afterEach, beforeEach, describe, expect, it } from "vitest";

const modules = fileURLToPath(new URL("../../examples/demo/node_modules/@vfmig", import.meta.url));

const MODEL = {
  package: "@vfmig/testkit/i40e-vf-model",
  options: { mac: "00:00:00:00:00:00", vsiId: 18 },
};

const BASE = `name: "odd", version: "1.0.0"`;

/** What a package is, as what it is named, the error's code, and what the message has to say. */
const UNFIT: readonly [string, "base" | "driver", string, string, RegExp][] = [
  ["exports nothing", "driver", "export const a = 1;", "PACKAGE_IMPORT", /no default export/],
  ["exports no plugin", "driver", `export default "hello";`, "PLUGIN_MANIFEST", /expected object/],
  [
    "exports a base",
    "driver",
    `export default { ${BASE}, open() {} };`,
    "HOST_MODULE",
    /devices\[0\]\.driver\.package: "odd" exports a base \(odd\).*Name it under "base"/,
  ],
  ["throws", "driver", `throw new Error("no chip");`, "PACKAGE_IMPORT", /evaluated: no chip/],
  [
    "never settles",
    "driver",
    "await new Promise(() => {}); export default {};",
    "HOST_STALLED",
    /would never be open: importing the driver "odd"/,
  ],
  ["exports no base", "base", `export default "hello";`, "HOST_MODULE", /exports no base/],
  [
    "throws when it is to open",
    "base",
    `export default { ${BASE}, open() { throw new Error("no chip"); } };`,
    "HOST_BASE",
    /The base "odd" \(odd\) did not open device "vf0": no chip/,
  ],
  [
    "opens nothing",
    "base",
    `export default { ${BASE}, async open() { return {}; } };`,
    "HOST_BASE",
    /what its open\(\) gave is no device/,
  ],
  [
    "never opens",
    "base",
    `export default { ${BASE}, open: () => new Promise(() => {}) };`,
    "HOST_STALLED",
    /would never be open: opening the base "odd"/,
  ],
];

describe("a package of the configuration", () => {
  let folder: string;

  beforeEach(async () => {
    folder = await mkdtemp(join(tmpdir(), "vfmig-unfit-"));
    const at = join(folder, "node_modules", "odd");
    await mkdir(at, { recursive: true });
    await symlink(modules, join(folder, "node_modules", "@vfmig"));
    const manifest = { name: "odd", version: "1.0.0", type: "module", exports: "./index.js" };
    await writeFile(join(at, "package.json"), JSON.stringify(manifest));
  });

  afterEach(() => rm(folder, { recursive: true }));

  it.each(UNFIT)("that %s is named as a %s, with why", async (_, as, code, error, says) => {
    await writeFile(join(folder, "node_modules", "odd", "index.js"), code);
    const odd = { package: "odd" };
    const device = as === "base" ? { base: odd } : { base: MODEL, driver: odd };
    const config = { devices: [{ name: "vf0", ...device }] };
    await writeFile(join(folder, "vfmig.config.json"), JSON.stringify(config));
    const opening = openHost({ config: folder, logger: silentLogger, clock: systemClock });
    await expect(opening).rejects.toMatchObject({
      code: `ERR_VFMIG_${error}`,
      message: expect.stringMatching(says) as string,
    });
  });
});
