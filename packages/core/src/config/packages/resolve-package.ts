import { realpath, stat } from "node:fs/promises";
import { dirname, join, resolve, sep } from "node:path";
import { fileURLToPath, pathToFileURL } from "node:url";
import { VfmigError } from "../../errors/vfmig-error.ts";
import { parseSpecifier } from "../specifier.ts";
import { legacyMains, resolveExports } from "./package-exports.ts";
import { packageInvalid, readPackageJson } from "./package-json.ts";
import type { PackageJson } from "./package-json.ts";

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

function entryError(specifier: string, root: string, why: string): VfmigError {
  return new VfmigError(
    "ERR_VFMIG_PACKAGE_ENTRY",
    `"${specifier}" cannot be imported from ${root}: ${why}; check the name of the export, or install ` +
      "a version of the package that has it",
    { layer: "core", details: { specifier, root } },
  );
}

/** Where the module may be, as starts of URLs below the root; the first that is a file counts. */
function candidates(json: PackageJson, subpath: string): readonly string[] {
  if (json["exports"] === undefined || json["exports"] === null) {
    return subpath === "." ? legacyMains(json["main"]) : [subpath];
  }
  const target = resolveExports(json["exports"], subpath);
  return target === undefined ? [] : [target];
}

/** The real file behind `target`, as a URL; undefined where there is none. */
async function realFile(target: string, root: string): Promise<URL | undefined> {
  const url = new URL(target, pathToFileURL(root + sep));
  try {
    const path = await realpath(fileURLToPath(url));
    if (!(await stat(path)).isFile()) return undefined;
    return new URL(url.search + url.hash, pathToFileURL(path));
  } catch {
    return undefined;
  }
}

async function findEntry(
  { specifier, subpath }: { readonly specifier: string; readonly subpath: string },
  root: string,
  json: PackageJson,
): Promise<string> {
  const targets = candidates(json, subpath);
  if (targets.length === 0) {
    throw entryError(specifier, root, `its package.json exports no "${subpath}" to import`);
  }
  for (const target of targets) {
    const url = await realFile(target, root);
    if (url === undefined) continue;
    if (fileURLToPath(url).startsWith(root + sep)) return url.href;
    throw entryError(specifier, root, `${target} leads out of the package, to ${url.href}`);
  }
  throw entryError(specifier, root, `there is no file ${targets.join(" nor ")}`);
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
  const { name, subpath } = parseSpecifier(specifier);
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
  const entry = await findEntry({ specifier, subpath }, root, json);
  return { specifier, name, version, root, entry };
}
