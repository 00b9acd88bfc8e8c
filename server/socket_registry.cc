// SPDX-License-Identifier: Apache-2.0
#include "server/socket_registry.h"

#include <algorithm>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "server/error.h"
#include "server/text.h"
#include "server/vsock_listener.h"

namespace kinsock {
namespace {

// "/run/a" for "/run/a_80"; empty if `path` does not end like this.
std::string WithoutPort(const std::string& path) {
  const size_t mark = path.rfind('_');
  if (mark == std::string::npos || mark + 1 == path.size()) return "";
  const bool digits = std::all_of(path.begin() + static_cast<ptrdiff_t>(mark) + 1, path.end(),
                                  [](unsigned char c) { return absl::ascii_isdigit(c); });
  return digits ? path.substr(0, mark) : "";
}

absl::Status Busy(const std::string& path, const std::string& holder, std::string_view why) {
  return Error(absl::StatusCode::kAlreadyExists, "SOCKET_PATH_BUSY",
               absl::StrCat("socket path ", Quoted(path), " ", AbslView(why), " ", holder, "; choose another"))
      .With("path", path)
      .With("holder", holder);
}

}  // namespace

absl::Status SocketRegistry::CheckFree(const std::string& path, bool hybrid) const {
  if (const auto same = taken_.find(path); same != taken_.end()) return Busy(path, same->second.holder, "belongs to");
  const auto caller = taken_.find(WithoutPort(path));
  if (caller != taken_.end() && caller->second.hybrid) {
    return Busy(path, caller->second.holder, "is where calls to the host arrive from the guest of");
  }
  if (!hybrid) return absl::OkStatus();
  const std::string prefix = absl::StrCat(path, "_");
  for (auto entry = taken_.lower_bound(prefix); entry != taken_.end() && absl::StartsWith(entry->first, prefix);
       ++entry) {
    if (WithoutPort(entry->first) == path) {
      return Busy(path, entry->second.holder, "followed by a port would be the socket of");
    }
  }
  return absl::OkStatus();
}

absl::Status SocketRegistry::CheckPortFree(uint32_t port) const {
  const auto same = taken_ports_.find(port);
  if (same == taken_ports_.end()) return absl::OkStatus();
  return VsockPortBusy(port, absl::StrCat("belongs to ", same->second), same->second);
}

void SocketRegistry::TakePort(uint32_t port, const std::string& holder) {
  taken_ports_[port] = holder;
  shared_ports_->Add(port);
}

void SocketRegistry::ReleasePort(uint32_t port) {
  if (taken_ports_.erase(port) > 0) shared_ports_->Remove(port);
}

void SocketRegistry::Take(const std::string& path, bool hybrid, const std::string& holder) {
  taken_[path] = {hybrid, holder};
}

}  // namespace kinsock
