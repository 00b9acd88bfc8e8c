// SPDX-License-Identifier: Apache-2.0
#include "server/host/runtime_dir.h"

#include <cstdlib>
#include <filesystem>
#include <system_error>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"
#include "base/text.h"
#include "server/host/socket_path.h"

namespace kinsock {

std::string RuntimeRoot() {
  const char* user = std::getenv("XDG_RUNTIME_DIR");
  return user != nullptr && user[0] == '/' ? std::string(absl::StripSuffix(user, "/")) : "/run";
}

std::string StateRoot() {
  const auto directory = [](const char* variable) -> std::string {
    const char* const path = std::getenv(variable);
    return path != nullptr && path[0] == '/' ? std::string(absl::StripSuffix(path, "/")) : "";
  };
  if (std::string root = directory("XDG_STATE_HOME"); !root.empty()) return root;
  // As RuntimeRoot() tells whose daemon it is.
  const std::string home = directory("HOME");
  return directory("XDG_RUNTIME_DIR").empty() || home.empty() ? "/var/lib" : home + "/.local/state";
}

std::string RuntimeDir() { return RuntimeRoot() + "/kinsock"; }

std::string DefaultApiSocket() { return RuntimeDir() + "/api.sock"; }

std::string UserPath(std::string_view text) {
  absl::string_view rest = AbslView(text);
  if (absl::ConsumePrefix(&rest, "%t")) return absl::StrCat(RuntimeRoot(), rest);
  if (absl::ConsumePrefix(&rest, "%S")) return absl::StrCat(StateRoot(), rest);
  if (text.empty() || text.front() == '/') return std::string(text);
  std::error_code error;
  const std::filesystem::path here = std::filesystem::current_path(error);
  return error ? std::string(text) : (here / text).lexically_normal().string();
}

absl::StatusOr<std::string> ParseUnixEndpoint(std::string_view endpoint) {
  absl::string_view rest = AbslView(endpoint);
  if (!absl::ConsumePrefix(&rest, "unix:")) {
    return absl::InvalidArgumentError(absl::StrCat(Quoted(endpoint), " is not a UNIX socket; give unix:PATH"));
  }
  absl::ConsumePrefix(&rest, "//");
  std::string path = UserPath(std::string_view(rest.data(), rest.size()));
  if (std::string fault = SocketPathFault(path, kMaxSocketPathBytes); !fault.empty()) {
    return absl::InvalidArgumentError(fault);
  }
  return path;
}

}  // namespace kinsock
