// SPDX-License-Identifier: Apache-2.0
#include "server/host/placed_socket.h"

#include <utility>

#include "absl/strings/str_cat.h"
#include "base/text.h"
#include "server/host/socket_path.h"

namespace kinsock {

absl::Status CheckSocketPlace(const std::string& field, const std::string& path, bool directory_may_be_missing,
                              const SocketDirs* within, std::vector<FieldViolation>& violations) {
  if (within != nullptr && !within->anywhere()) {
    std::string fault = within->Fault(path);
    if (fault.empty() && !directory_may_be_missing) {
      const absl::StatusOr<UniqueFd> directory = within->OpenDirectoryOf(path);
      if (!directory.ok()) fault = std::string(directory.status().message());
    }
    if (!fault.empty()) {
      violations.push_back({field, absl::StrCat(Quoted(path), " ", fault)});
      return absl::OkStatus();
    }
  }
  const SocketPlace place = InspectSocketPlace(path, directory_may_be_missing);
  if (place.kind == SocketPlace::Kind::kBusy) return SocketPathBusy(path, place.reason);
  if (place.kind == SocketPlace::Kind::kRefused) {
    violations.push_back({field, absl::StrCat(Quoted(path), " ", place.reason)});
  }
  return absl::OkStatus();
}

absl::StatusOr<BoundSocket> ListenWithin(const SocketDirs* within, const std::string& path, int backlog,
                                         const SocketPermissions& permissions) {
  if (within == nullptr || within->anywhere()) {
    return BoundSocket::ListenIn(UniqueFd(), path, backlog, permissions);
  }
  absl::StatusOr<UniqueFd> directory = within->OpenDirectoryOf(path);
  if (directory.ok()) return BoundSocket::ListenIn(*std::move(directory), path, backlog, permissions);
  // The place was good a moment ago.
  return Error(absl::StatusCode::kFailedPrecondition, "SOCKET_FAILED",
               absl::StrCat("socket path ", Quoted(path), " ", directory.status().message()))
      .With("path", path);
}

}  // namespace kinsock
