import { createHash } from "node:crypto";
import type { Hash } from "node:crypto";
import { readFile } from "node:fs/promises";
import { join, relative } from "node:path";
import { fileURLToPath } from "node:url";
import { VfmigError } from "../../errors/vfmig-error.ts";
import { INTEGRITY } from "../specifier.ts";
import { packageInvalid } from "./package-json.ts";
import { packedFiles } from "./packed-files.ts";
import type { ResolvedPackage } from "./resolve-package.ts";

/** Precedes everything, so that another definition can never give the same hash. */
const DOMAIN = "vfmig-package-integrity-1\n";

function addSized(hash: Hash, bytes: Uint8Array): void {
  const length = Buffer.alloc(8);
  length.writeBigUInt64BE(BigInt(bytes.length));
  hash.update(length).update(bytes);
}

async function hashFiles(root: string, files: readonly string[]): Promise<string> {
  const hash = createHash("sha512").update(DOMAIN);
  for (const file of files) {
    let bytes: Buffer;
    try {
      bytes = await readFile(join(root, file));
    } catch (cause) {
      throw packageInvalid(root, `its file ${file} cannot be read`, cause);
    }
    addSized(hash, Buffer.from(file));
    addSized(hash, bytes);
  }
  return `sha512-${hash.digest("base64")}`;
}

/**
 * The integrity of an installed package: `sha512-` and the base64 of SHA-512 over the line
 * `vfmig-package-integrity-1\n`, then for each file that npm would publish, sorted by the UTF-8 bytes
 * of its path: the path's length in bytes (64 bits, big endian), the path with `/`, the content's
 * length (likewise), the content. File modes and times do not count; nor do the package's
 * dependencies, unless it bundles them.
 *
 * @param root The package's folder.
 * @throws VfmigError `ERR_VFMIG_PACKAGE_INVALID`
 */
export async function packageIntegrity(root: string): Promise<string> {
  return hashFiles(root, await packedFiles(root));
}

function refuse(
  resolved: ResolvedPackage,
  why: string,
  details: Record<string, unknown>,
): VfmigError {
  const { name, version, root } = resolved;
  return new VfmigError(
    "ERR_VFMIG_PLUGIN_INTEGRITY",
    `${name} ${version} in ${root} was not run: ${why}`,
    { layer: "core", details: { name, version, root, ...details } },
  );
}

/**
 * Compares a package's files with the pinned integrity, before anything of it runs. The module to
 * import has to be among those files.
 *
 * @param expected The configuration's `integrity`.
 * @returns The integrity found, which is `expected`.
 * @throws VfmigError `ERR_VFMIG_PLUGIN_INTEGRITY`, `ERR_VFMIG_PACKAGE_INVALID`
 */
export async function verifyIntegrity(
  resolved: ResolvedPackage,
  expected: string,
): Promise<string> {
  const { root, entry } = resolved;
  if (!INTEGRITY.test(expected)) {
    const why = `"${expected}" is no integrity; expected sha512- and the base64 of 64 bytes`;
    throw refuse(resolved, why, { expected });
  }
  const files = await packedFiles(root);
  const found = await hashFiles(root, files);
  if (found !== expected) {
    const why =
      `its files do not have the pinned integrity\n  expected ${expected}\n  found    ${found}\n` +
      "find out who changed them; install the package again, or pin the new one knowingly";
    throw refuse(resolved, why, { expected, found });
  }
  const module = relative(root, fileURLToPath(entry)).replaceAll("\\", "/");
  if (!files.includes(module)) {
    const why = `its module ${module} is not among the files that npm would publish, so no pin covers it`;
    throw refuse(resolved, why, { expected, found, module });
  }
  return found;
}
