// SPDX-License-Identifier: Apache-2.0
#ifndef KINSOCK_SERVER_RPC_WATCH_REQUEST_H_
#define KINSOCK_SERVER_RPC_WATCH_REQUEST_H_

#include <chrono>
#include <cstdint>
#include <string>

#include "absl/status/statusor.h"
#include "api/kinsock/v1/watch.pb.h"

namespace kinsock {

// How often a BOOKMARK is due. INVALID_ARGUMENT FIELD_INVALID. Pure function; any thread.
absl::StatusOr<std::chrono::nanoseconds> BookmarkInterval(const v1::WatchRequest& request);

// The version after which to go on, of a request that names one. INVALID_ARGUMENT FIELD_INVALID: it is none, or of the
// future. OUT_OF_RANGE RESOURCE_VERSION_EXPIRED: what followed it is not known any more, or of another `epoch`.
absl::StatusOr<uint64_t> VersionToResume(const v1::WatchRequest& request, const std::string& epoch, uint64_t oldest,
                                         uint64_t head);

}  // namespace kinsock

#endif  // KINSOCK_SERVER_RPC_WATCH_REQUEST_H_
