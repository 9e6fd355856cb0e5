import { readdir, readFile, realpath, stat } from "node:fs/promises";
import { basename, dirname, extname, resolve } from "node:path";
import { pathToFileURL } from "node:url";
import { VfmigError } from "../errors/vfmig-error.ts";
import { deepFreeze } from "./deep-freeze.ts";
import { describeIssues, formatIssues } from "./issues.ts";
import { configSchema } from "./schema.ts";
import type { VfmigConfig } from "./types.ts";

const ENDINGS: readonly string[] = ["ts", "mts", "js", "json"];

/** File names that {@link findConfig} looks for. */
export const CONFIG_FILES: readonly string[] = ENDINGS.map((ending) => `vfmig.config.${ending}`);

/** A configuration and where it stands; packages and relative paths are resolved from `folder`. */
export interface LoadedConfig {
  /** Real path of the file. */
  readonly file: string;
  /** Its folder. */
  readonly folder: string;
  /** Validated and deeply frozen. */
  readonly config: VfmigConfig;
}

function textOf(cause: unknown): string {
  return cause instanceof Error ? cause.message : String(cause);
}

async function kindOf(path: string): Promise<"file" | "folder" | undefined> {
  const status = await stat(path).catch(() => undefined);
  if (status?.isDirectory() === true) return "folder";
  return status?.isFile() === true ? "file" : undefined;
}

/**
 * The configuration file in `folder`.
 * @param variant - one of several that lie there, as `vfmig.<variant>.config.ts`; default the unnamed one
 * @throws VfmigError `ERR_VFMIG_CONFIG_NOT_FOUND`, `ERR_VFMIG_CONFIG_AMBIGUOUS`
 */
export async function findConfig(folder: string, variant?: string): Promise<string> {
  const names =
    variant === undefined
      ? CONFIG_FILES
      : ENDINGS.map((ending) => `vfmig.${variant}.config.${ending}`);
  const candidates = names.map((name) => resolve(folder, name));
  const kinds = await Promise.all(candidates.map(kindOf));
  const found = candidates.filter((_, index) => kinds[index] === "file");
  const [file, ...others] = found;
  if (file === undefined) {
    const variants = variant === undefined ? [] : await variantsIn(folder);
    const there = variants.length === 0 ? "" : `; these are there: ${variants.join(", ")}`;
    throw new VfmigError(
      "ERR_VFMIG_CONFIG_NOT_FOUND",
      `no configuration${variant === undefined ? "" : ` "${variant}"`} in ${resolve(folder)}${there}; write one of ${names.join(", ")} there, or name the file`,
      { layer: "core", details: { folder: resolve(folder), names } },
    );
  }
  if (others.length > 0) {
    const present = found.map((path) => basename(path));
    throw new VfmigError(
      "ERR_VFMIG_CONFIG_AMBIGUOUS",
      `${resolve(folder)} holds ${present.join(" and ")}; keep one, or name the file that is meant`,
      { layer: "core", details: { folder: resolve(folder), names: present } },
    );
  }
  return file;
}

function loadError(file: string, why: string, cause?: unknown): VfmigError {
  return new VfmigError("ERR_VFMIG_CONFIG_LOAD", `${file}: ${why}`, {
    layer: "core",
    details: { file },
    cause,
  });
}

async function readJson(file: string): Promise<unknown> {
  try {
    return JSON.parse(await readFile(file, "utf8"));
  } catch (cause) {
    throw loadError(file, `cannot be read as JSON: ${textOf(cause)}`, cause);
  }
}

async function importModule(file: string): Promise<unknown> {
  let module: { readonly default?: unknown };
  try {
    module = await import(/* @vite-ignore */ pathToFileURL(file).href);
  } catch (cause) {
    throw loadError(file, `failed while it was evaluated: ${textOf(cause)}`, cause);
  }
  if (module.default === undefined) {
    throw loadError(file, "has no default export; write `export default defineConfig({ ... })`");
  }
  return module.default;
}

/**
 * Checks a configuration against the schema.
 * @param file For the message.
 * @throws VfmigError `ERR_VFMIG_CONFIG_INVALID` with `details.issues`, each with path and hint
 */
export function validateConfig(value: unknown, file: string): VfmigConfig {
  const result = configSchema.safeParse(value);
  if (result.success) return deepFreeze(result.data);
  const issues = describeIssues(configSchema, result.error);
  throw new VfmigError(
    "ERR_VFMIG_CONFIG_INVALID",
    `${file} is not a valid configuration:\n${formatIssues(issues)}`,
    { layer: "core", details: { file, issues } },
  );
}

/** Names of the variants in a folder, such as `e810` of vfmig.e810.config.ts. */
async function variantsIn(folder: string): Promise<readonly string[]> {
  const names = await readdir(folder).catch(() => []);
  const variants = names.flatMap((name) => {
    const [, variant] = /^vfmig\.([\w-]+)\.config\.(?:m?ts|js|json)$/u.exec(name) ?? [];
    return variant === undefined ? [] : [variant];
  });
  return variants.toSorted();
}

/**
 * Loads a configuration, by the file itself or by its folder. A `.ts` file runs as Node runs it, with
 * its types stripped.
 *
 * @throws VfmigError `ERR_VFMIG_CONFIG_NOT_FOUND`, `ERR_VFMIG_CONFIG_AMBIGUOUS`,
 * `ERR_VFMIG_CONFIG_LOAD`, `ERR_VFMIG_CONFIG_INVALID`
 */
export async function loadConfig(pathOrFolder: string): Promise<LoadedConfig> {
  const path = resolve(pathOrFolder);
  const kind = await kindOf(path);
  if (kind === undefined) {
    throw new VfmigError(
      "ERR_VFMIG_CONFIG_NOT_FOUND",
      `there is no file or folder ${path}; name a configuration file, or the folder that holds vfmig.config.ts`,
      {
        layer: "core",
        details: { path },
      },
    );
  }
  const file = await realpath(kind === "folder" ? await findConfig(path) : path);
  const value = extname(file) === ".json" ? await readJson(file) : await importModule(file);
  return { file, folder: dirname(file), config: validateConfig(value, file) };
}
