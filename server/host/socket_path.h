// SPDX-License-Identifier: Apache-2.0
#ifndef KINSOCK_SERVER_HOST_SOCKET_PATH_H_
#define KINSOCK_SERVER_HOST_SOCKET_PATH_H_

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

namespace kinsock {

// sun_path has 108 bytes and ends with a NUL.
inline constexpr size_t kMaxSocketPathBytes = 107;
// The guest's calls to the host go to "<path>_<port>", whose longest suffix is "_4294967295".
inline constexpr size_t kMaxHybridPathBytes = kMaxSocketPathBytes - 11;

// Why `path` cannot name a socket whatever the file system holds, in words that follow the name of a field, and what
// to do; empty if it can. `max_bytes` is one of the above.
std::string SocketPathFault(std::string_view path, size_t max_bytes);

// What the file system says of a place for a socket.
struct SocketPlace {
  enum class Kind : uint8_t {
    kFree,     // nothing is there
    kStale,    // a socket that nobody answers on: left behind by a process that died
    kBusy,     // somebody answers, or might
    kRefused,  // no socket of ours may be made there
  };
  Kind kind = Kind::kFree;
  std::string reason;  // kBusy, kRefused: what is there and what to do, in words that follow the path
};

// Looks whether a socket can be made at `path` (which has no fault); makes and removes nothing. With
// `directory_may_be_missing` that is no obstacle: its maker makes it. Does not block. Any thread.
SocketPlace InspectSocketPlace(const std::string& path, bool directory_may_be_missing);

// The part of that which depends neither on who asks nor on who runs at this moment: why nobody could make a socket at
// `path`, in words that follow it; empty: somebody could, or it cannot be told. Connects to nobody.
std::string SocketPlaceFault(const std::string& path, bool directory_may_be_missing);

// `path` with the symbolic links of its directory resolved, so that two spellings of one place are the same;
// `path` itself when the directory does not exist.
std::string CanonicalSocketPath(const std::string& path);

}  // namespace kinsock

#endif  // KINSOCK_SERVER_HOST_SOCKET_PATH_H_
