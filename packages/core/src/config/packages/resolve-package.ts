import { realpath, stat } from "node:fs/promises";
import { dirname, join, resolve, sep } from "node:path";
import { fileURLToPath, pathToFileURL } from "node:url";
import { moduleResolve } from "import-meta-resolve";
import { VfmigError } from "../../errors/vfmig-error.ts";
import { parseSpecifier } from "../specifier.ts";
import { packageInvalid, readPackageJson } from "./package-json.ts";

/** An installed package, found but not yet run. */
export interface ResolvedPackage {
  /** As the configuration has it. */
  readonly specifier: string;
  readonly name: string;
  readonly version: string;
  /** Real path of the package's folder. */
  readonly root: string;
  /** `file:` URL of the module to import; its real path is inside `root`. */
  readonly entry: string;
}

/** The conditions under which Node 24 resolves an `import`. */
const CONDITIONS: readonly string[] = ["node", "import", "module-sync", "node-addons"];

function* upwards(folder: string): Generator<string> {
  for (let here = folder, last = ""; here !== last; last = here, here = dirname(here)) yield here;
}

/** The package that `folder` itself belongs to, if a package of that name may import itself. */
async function ownPackage(name: string, folder: string): Promise<string | undefined> {
  for (const here of upwards(folder)) {
    if (here.endsWith(`${sep}node_modules`)) return undefined;
    const json = await readPackageJson(here);
    if (json === undefined) continue;
    return json["name"] === name && json["exports"] != null ? here : undefined;
  }
  return undefined;
}

/** The folder that Node would take the package from: its own, else the nearest node_modules. */
async function findPackage(name: string, folder: string): Promise<string | undefined> {
  const own = await ownPackage(name, folder);
  if (own !== undefined) return own;
  for (const here of upwards(folder)) {
    if (here.endsWith(`${sep}node_modules`)) continue;
    const candidate = join(here, "node_modules", ...name.split("/"));
    const status = await stat(candidate).catch(() => undefined);
    if (status?.isDirectory() === true) return realpath(candidate);
  }
  return undefined;
}

function entryError(specifier: string, root: string, why: string, cause?: unknown): VfmigError {
  return new VfmigError(
    "ERR_VFMIG_PACKAGE_ENTRY",
    `"${specifier}" cannot be imported from ${root}: ${why}; check the name of the export, or install ` +
      "a version of the package that has it",
    { layer: "core", details: { specifier, root }, cause },
  );
}

function resolveEntry(specifier: string, folder: string, root: string): string {
  let entry: URL;
  try {
    // Node resolves from a module, so any file name in the folder will do.
    entry = moduleResolve(specifier, pathToFileURL(join(folder, "_")), new Set(CONDITIONS));
  } catch (cause) {
    throw entryError(
      specifier,
      root,
      cause instanceof Error ? cause.message : String(cause),
      cause,
    );
  }
  const inside = entry.protocol === "file:" && fileURLToPath(entry).startsWith(root + sep);
  if (!inside) throw entryError(specifier, root, `${entry.href} is outside the package`);
  return entry.href;
}

/**
 * Finds an installed package as Node's `import` would from a module in `folder`, also one that exports
 * nothing to `require`. Reads package.json files only; runs nothing.
 *
 * @param specifier Package name with an optional export subpath.
 * @param folder The configuration's folder.
 * @throws VfmigError `ERR_VFMIG_PACKAGE_SPECIFIER`, `ERR_VFMIG_PACKAGE_NOT_INSTALLED`,
 * `ERR_VFMIG_PACKAGE_INVALID`, `ERR_VFMIG_PACKAGE_ENTRY`
 */
export async function resolvePackage(specifier: string, folder: string): Promise<ResolvedPackage> {
  const { name } = parseSpecifier(specifier);
  const from = await realpath(folder).catch(() => resolve(folder));
  const root = await findPackage(name, from);
  if (root === undefined) {
    throw new VfmigError(
      "ERR_VFMIG_PACKAGE_NOT_INSTALLED",
      `package "${name}" is not installed in ${from} or above; run: npm install ${name}`,
      { layer: "core", details: { specifier, name, folder: from } },
    );
  }
  const json = await readPackageJson(root);
  if (json === undefined) throw packageInvalid(root, "it has no package.json");
  const { version } = json;
  if (json["name"] !== name) {
    // An alias (`npm install a@npm:b`) would show one package under the name of another.
    throw packageInvalid(
      root,
      `it is installed as "${name}" but calls itself "${String(json["name"])}"`,
    );
  }
  if (typeof version !== "string") throw packageInvalid(root, "its package.json has no version");
  return { specifier, name, version, root, entry: resolveEntry(specifier, from, root) };
}
