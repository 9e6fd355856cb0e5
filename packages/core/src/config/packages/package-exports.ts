/** The conditions under which Node 24 resolves an `import`; `default` fits always. */
const CONDITIONS: readonly string[] = ["node", "import", "module-sync", "node-addons", "default"];

/** A target; null where the package closes the subpath or is at fault, undefined where nothing fits. */
type Target = string | null | undefined;

function isForbidden(segment: string): boolean {
  let plain = segment;
  try {
    plain = decodeURIComponent(segment);
  } catch {
    // Not an encoding: it is compared as it stands.
  }
  return plain === "." || plain === ".." || plain.toLowerCase() === "node_modules";
}

/** `PACKAGE_TARGET_RESOLVE` of Node's documentation for a string. */
function resolveText(target: string, match: string | undefined): Target {
  if (!target.startsWith("./")) return null;
  if (target.slice(2).split(/[/\\]/).some(isForbidden)) return null;
  if (match === undefined) return target;
  if (match.split(/[/\\]/).some(isForbidden)) return null;
  return target.replaceAll("*", () => match);
}

function resolveList(targets: readonly unknown[], match: string | undefined): Target {
  let last: null | undefined = targets.length === 0 ? null : undefined;
  for (const target of targets) {
    const found = resolveTarget(target, match);
    if (typeof found === "string") return found;
    if (found === null) last = null;
  }
  return last;
}

/** `PACKAGE_TARGET_RESOLVE` of Node's documentation. `match` is what stands for the pattern's `*`. */
function resolveTarget(target: unknown, match: string | undefined): Target {
  if (typeof target === "string") return resolveText(target, match);
  if (Array.isArray(target)) return resolveList(target, match);
  if (typeof target !== "object" || target === null) return null;
  for (const [condition, inner] of Object.entries(target)) {
    if (!CONDITIONS.includes(condition)) continue;
    const found = resolveTarget(inner, match);
    if (found !== undefined) return found;
  }
  return undefined;
}

/** The subpaths of `exports`; what has none, is all about the main module. */
function subpathsOf(exports: unknown): Readonly<Record<string, unknown>> {
  if (typeof exports === "object" && exports !== null && !Array.isArray(exports)) {
    const keys = Object.keys(exports);
    const subpaths = keys.filter((key) => key.startsWith("."));
    if (subpaths.length > 0) return subpaths.length === keys.length ? { ...exports } : {};
  }
  return { ".": exports };
}

/** The most specific pattern that fits, with what its `*` stands for. */
function findPattern(
  keys: readonly string[],
  subpath: string,
): readonly [string, string] | undefined {
  let best: { readonly key: string; readonly star: number } | undefined;
  for (const key of keys) {
    const star = key.indexOf("*");
    if (star < 0 || star !== key.lastIndexOf("*") || subpath.length < key.length) continue;
    if (!subpath.startsWith(key.slice(0, star)) || !subpath.endsWith(key.slice(star + 1))) continue;
    const longer = best === undefined || star > best.star;
    if (longer || (star === best?.star && key.length > best.key.length)) best = { key, star };
  }
  if (best === undefined) return undefined;
  const { key, star } = best;
  return [key, subpath.slice(star, subpath.length - (key.length - star - 1))];
}

/**
 * What the `exports` of a package.json gives for an import of `subpath` (`.` or `./name`): a path from
 * the package's root, as the start of a URL; undefined where it exports no such thing. Follows
 * `PACKAGE_EXPORTS_RESOLVE` of Node's documentation ("Modules: ECMAScript modules").
 */
export function resolveExports(exports: unknown, subpath: string): string | undefined {
  const subpaths = subpathsOf(exports);
  if (Object.hasOwn(subpaths, subpath) && !subpath.includes("*")) {
    return resolveTarget(subpaths[subpath], undefined) ?? undefined;
  }
  const [key, match] = findPattern(Object.keys(subpaths), subpath) ?? [];
  return key === undefined ? undefined : (resolveTarget(subpaths[key], match) ?? undefined);
}

/** Where a package without `exports` may have its main module, in Node's order. */
export function legacyMains(main: unknown): readonly string[] {
  const index = ["./index.js", "./index.json", "./index.node"];
  if (typeof main !== "string" || main === "") return index;
  const endings = ["", ".js", ".json", ".node", "/index.js", "/index.json", "/index.node"];
  return [...endings.map((ending) => `./${main}${ending}`), ...index];
}
