/** Codes of the configuration and of the packages that it names. */
export const configCodes = {
  ERR_VFMIG_CONFIG_NOT_FOUND: {
    means:
      "The folder holds no vfmig.config.ts, .mts, .js or .json, or the named file does not exist.",
    remedy: "Write one of these files, or name the file or folder that holds it.",
  },
  ERR_VFMIG_CONFIG_AMBIGUOUS: {
    means:
      "The folder holds more than one configuration file, so it is not clear which one is meant.",
    remedy: "Remove or rename all but one, or name the wanted file itself.",
  },
  ERR_VFMIG_CONFIG_LOAD: {
    means:
      "The configuration file could not be read, parsed or evaluated, or has no default export.",
    remedy: "Read the cause in the message; a module exports the configuration as default.",
  },
  ERR_VFMIG_CONFIG_INVALID: {
    means: "The configuration was read but does not fit its schema.",
    remedy: "Correct each path that the message lists; @vfmig/core/schema.json is the JSON Schema.",
  },
  ERR_VFMIG_PACKAGE_SPECIFIER: {
    means: "What names a package is not a package name with an optional export subpath.",
    remedy: "Name an installed package; relative paths and URLs are not taken.",
  },
  ERR_VFMIG_PACKAGE_NOT_INSTALLED: {
    means:
      "A package that the configuration names is not installed where the configuration stands.",
    remedy: "Install it in the configuration's folder with npm install.",
  },
  ERR_VFMIG_PACKAGE_INVALID: {
    means: "An installed package has no usable package.json, or its files cannot be read.",
    remedy: "Install the package again, or report the fault to its vendor.",
  },
  ERR_VFMIG_PACKAGE_ENTRY: {
    means:
      "An installed package has no module for the named export, or one outside its own folder.",
    remedy:
      "Check the export's name against the package's documentation, or install a version that has it.",
  },
  ERR_VFMIG_PACKAGE_IMPORT: {
    means: "A package's module failed while it was evaluated, or has no default export.",
    remedy: "Read the cause; it is the package's own fault, to be reported to its vendor.",
  },
} as const;
