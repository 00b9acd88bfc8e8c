// SPDX-License-Identifier: Apache-2.0
#include "server/host/socket_registry.h"

#include <algorithm>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "base/status_macros.h"
#include "base/text.h"
#include "server/host/vsock_listener.h"
#include "server/status/error.h"

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

constexpr absl::string_view kTcp = "tcp:";

// "tcp:*:80" for "tcp:127.0.0.1:80"; empty if `place` is no address of TCP.
std::string OnAllAddresses(const std::string& place) {
  return absl::StartsWith(place, kTcp) ? absl::StrCat(kTcp, "*", place.substr(place.rfind(':'))) : "";
}

absl::Status Busy(const std::string& path, const std::string& holder, std::string_view why) {
  if (absl::StartsWith(path, kTcp)) {
    return Error(absl::StatusCode::kAlreadyExists, "TCP_PORT_BUSY",
                 absl::StrCat(path, " ", AbslView(why), " ", holder, "; choose another"))
        .With("address", path)
        .With("holder", holder);
  }
  return Error(absl::StatusCode::kAlreadyExists, "SOCKET_PATH_BUSY",
               absl::StrCat("socket path ", Quoted(path), " ", AbslView(why), " ", holder, "; choose another"))
      .With("path", path)
      .With("holder", holder);
}

}  // namespace

absl::Status SocketRegistry::CheckHolders(const std::string& path) const {
  for (const std::string& place : {path, OnAllAddresses(path)}) {
    const auto same = taken_.find(place);
    if (same != taken_.end()) return Busy(path, same->second.holder, "belongs to");
  }
  const auto caller = taken_.find(WithoutPort(path));
  if (caller != taken_.end() && caller->second.hybrid) {
    return Busy(path, caller->second.holder, "is where calls to the host arrive from the guest of");
  }
  return absl::OkStatus();
}

absl::Status SocketRegistry::CheckTarget(const std::string& path) const { return CheckHolders(path); }

absl::Status SocketRegistry::CheckFree(const std::string& path, bool hybrid) const {
  KINSOCK_RETURN_IF_ERROR(CheckHolders(path));
  if (const auto led = targets_.find(path); led != targets_.end()) {
    return Busy(path, led->second, "is where a guest is led by");
  }
  if (!hybrid) return absl::OkStatus();
  const std::string prefix = absl::StrCat(path, "_");
  const auto check = [&](const auto& places, const auto& holder_of) -> absl::Status {
    for (auto place = places.lower_bound(prefix); place != places.end() && absl::StartsWith(place->first, prefix);
         ++place) {
      if (WithoutPort(place->first) == path) {
        return Busy(path, holder_of(place->second), "followed by a port would be the socket of");
      }
    }
    return absl::OkStatus();
  };
  KINSOCK_RETURN_IF_ERROR(check(taken_, [](const Entry& entry) { return entry.holder; }));
  return check(targets_, [](const std::string& holder) { return holder; });
}

void SocketRegistry::ReleaseTarget(const std::string& path, const std::string& holder) {
  const auto [first, last] = targets_.equal_range(path);
  const auto mine = std::find_if(first, last, [&](const auto& target) { return target.second == holder; });
  if (mine != last) targets_.erase(mine);
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
