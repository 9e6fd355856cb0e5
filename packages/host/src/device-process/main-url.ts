/** The file that a device's process runs. */
export function deviceMain(): URL {
  // Node cannot run the sources' decorators, so tests of the sources start the built process.
  const fromSource = import.meta.url.endsWith(".ts");
  const file = fromSource ? "../../dist/device-process/main.js" : "./main.js";
  return new URL(file, import.meta.url);
}
