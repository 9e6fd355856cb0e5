import { execFile } from "node:child_process";
import { join } from "node:path";
import { fileURLToPath } from "node:url";

const root = fileURLToPath(new URL("../../..", import.meta.url));
const bin = join(root, "packages", "cli", "bin", "vfmig.js");
/** The folder of the demo's configurations. */
export const demo: string = join(root, "examples", "demo");

/** What `vfmig demo --json` prints, as far as tests look at it. */
export interface Demo {
  readonly schemaVersion: number;
  readonly moves: number;
  readonly driver: { readonly name: string; readonly version: string; readonly integrity: string };
  readonly frames: Readonly<Record<string, number>>;
  readonly migration: {
    readonly stopToRunMs: readonly number[];
    readonly stateBytes: readonly number[];
    readonly dirtyPages: readonly number[];
    readonly dirty: readonly Readonly<
      Record<"reported" | "changed" | "extra" | "forgotten", number>
    >[];
    readonly framesDuringBlackout: readonly number[];
    readonly ringIndices: readonly (readonly { readonly rx: number }[])[];
  };
  readonly flows: readonly {
    readonly sent: number;
    readonly delivered: number;
    readonly duringBlackout: number;
    readonly duringSwitch: number;
    readonly lost: number;
  }[];
}

/** Runs the built command in a process of its own. */
export function vfmig(
  ...words: readonly string[]
): Promise<{ code: number; stdout: string; stderr: string }> {
  return new Promise((resolve) => {
    execFile(process.execPath, [bin, ...words], { cwd: root }, (error, stdout, stderr) => {
      resolve({ code: error === null ? 0 : Number(error.code), stdout, stderr });
    });
  });
}
