{
  "variables": { "sanitize%": "" },
  "targets": [
    {
      "target_name": "mvfuse_native",
      "sources": [
        "src/addon.cc",
        "src/datagram.cc",
        "src/device.cc",
        "src/mailbox.cc",
        "src/notifier.cc",
        "src/request-reader.cc",
        "src/session.cc",
        "src/session-replies.cc",
        "src/js/errors.cc",
        "src/js/keys.cc",
        "src/js/read-values.cc",
        "src/js/request-object.cc",
        "src/mount/fusermount.cc",
        "src/mount/mount.cc",
        "src/mount/mountinfo.cc",
        "src/protocol/encode.cc",
        "src/protocol/init.cc",
        "src/protocol/parse.cc",
        "src/protocol/utf8.cc",
        "src/protocol/xattr.cc"
      ],
      "include_dirs": ["src"],
      "defines": ["NAPI_VERSION=8", "NAPI_CPP_EXCEPTIONS", "NODE_ADDON_API_CPP_EXCEPTIONS_ALL", "NODE_ADDON_API_DISABLE_DEPRECATED", "_FILE_OFFSET_BITS=64"],
      "cflags_cc!": ["-fno-exceptions"],
      "cflags_cc": [
        "-fexceptions", "-Wall", "-Wextra", "-Werror", "-fvisibility=hidden",
        "<!(node -p \"'-isystem' + require('path').dirname(require.resolve('node-addon-api'))\")"
      ],
      "conditions": [
        ["sanitize!=''", {
          "cflags_cc": ["-fsanitize=<(sanitize)", "-fno-omit-frame-pointer", "-g", "-O1"],
          "ldflags": ["-fsanitize=<(sanitize)"]
        }]
      ]
    }
  ]
}
