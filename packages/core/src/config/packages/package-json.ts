import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { VfmigError } from "../../errors/vfmig-error.ts";

/** What is read of a package.json; whatever else is there, is not looked at. */
export type PackageJson = Readonly<Record<string, unknown>>;

/** An error about the package in `root`. */
export function packageInvalid(root: string, why: string, cause?: unknown): VfmigError {
  return new VfmigError(
    "ERR_VFMIG_PACKAGE_INVALID",
    `the package in ${root} cannot be used: ${why}; install it again`,
    { layer: "core", details: { root }, cause },
  );
}

function isObject(value: unknown): value is PackageJson {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

/**
 * Reads the package.json in `root`, anew each time; undefined where there is none.
 * @throws VfmigError `ERR_VFMIG_PACKAGE_INVALID`
 */
export async function readPackageJson(root: string): Promise<PackageJson | undefined> {
  try {
    const value: unknown = JSON.parse(await readFile(join(root, "package.json"), "utf8"));
    if (isObject(value)) return value;
  } catch (cause) {
    const code = cause instanceof Error && "code" in cause ? cause.code : undefined;
    if (code === "ENOENT" || code === "ENOTDIR") return undefined;
    const text = cause instanceof Error ? cause.message : String(cause);
    throw packageInvalid(root, `its package.json cannot be read (${text})`, cause);
  }
  throw packageInvalid(root, "its package.json is no object");
}
