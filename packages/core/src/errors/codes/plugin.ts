/** Codes of sub-drivers: their manifests, facets, registration, options and integrity. */
export const pluginCodes = {
  ERR_VFMIG_PLUGIN_MANIFEST: {
    means: "What a package exports as default is not a sub-driver, or its manifest has a fault.",
    remedy: "Correct the paths that the message lists; defineSubDriver types the manifest.",
  },
  ERR_VFMIG_PLUGIN_FACET_MISSING: {
    means: "A sub-driver declares a capability but does not give all that the capability needs.",
    remedy: "The plugin's author adds what the message lists, or stops declaring the capability.",
  },
  ERR_VFMIG_PLUGIN_CAPABILITY_UNDECLARED: {
    means: "A sub-driver gives a facet for a capability that its manifest does not declare.",
    remedy: "The plugin's author declares the capability, or removes the facet.",
  },
  ERR_VFMIG_PLUGIN_DUPLICATE: {
    means: "Two sub-drivers were registered under one name.",
    remedy: "Register each once; unregister the first, or name one package for all devices.",
  },
  ERR_VFMIG_PLUGIN_API_VERSION: {
    means: "A sub-driver was written for another version of the plugin API.",
    remedy:
      "Install a version of the plugin for this API, or a vfmig that offers the API it asks for.",
  },
  ERR_VFMIG_PLUGIN_UNKNOWN: {
    means: "A sub-driver was asked for by a name under which none is registered.",
    remedy: "Register it first, or correct the name; the message lists the registered ones.",
  },
  ERR_VFMIG_PLUGIN_IN_USE: {
    means: "A sub-driver cannot be unregistered while devices run with it.",
    remedy: "Close the devices that the message names, then unregister it.",
  },
  ERR_VFMIG_PLUGIN_DEVICE_MISMATCH: {
    means: "The configuration names a sub-driver for a device that it does not drive.",
    remedy: "Name the plugin of the device's vendor, or none to run the device on its base alone.",
  },
  ERR_VFMIG_PLUGIN_BASE_MIGRATES: {
    means: "A sub-driver with migration was named for a device whose kernel driver migrates it.",
    remedy:
      "Name no driver to use the kernel's migration, or bind the device to plain vfio-pci to use the plugin's.",
  },
  ERR_VFMIG_PLUGIN_OPTIONS_UNDECLARED: {
    means: "The configuration gives options to a package that takes none.",
    remedy: "Remove the options, or check that the right package is named.",
  },
  ERR_VFMIG_PLUGIN_OPTIONS_INVALID: {
    means: "The options that the configuration gives do not fit the package's own schema.",
    remedy:
      "Correct the paths that the message lists; the package's documentation has its options.",
  },
  ERR_VFMIG_PLUGIN_INTEGRITY: {
    means: "A package's files are not the ones that the configuration pins; nothing of it was run.",
    remedy:
      "Find out who changed the files; install the package again, or pin the new hash knowingly.",
  },
} as const;
