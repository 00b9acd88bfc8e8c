// SPDX-License-Identifier: Apache-2.0
#ifndef KINSOCK_SERVER_MODEL_RESOURCE_VERSION_H_
#define KINSOCK_SERVER_MODEL_RESOURCE_VERSION_H_

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace kinsock {

// "{epoch}.{n}", as clients see a version. The epoch names one life of the daemon's memory: a version of an earlier
// life is not older than those of this one, it says nothing about them.
struct ResourceVersion {
  std::string epoch;
  uint64_t n = 0;

  std::string ToString() const;
  // Nothing if `text` is not of the form.
  static std::optional<ResourceVersion> Parse(std::string_view text);
  friend bool operator==(const ResourceVersion&, const ResourceVersion&) = default;
};

// What a list's page token says: the version at which the first page was made, and the name (or number) after which
// the next page begins. Clients see it in base64 and are told that it is opaque.
struct PageToken {
  ResourceVersion version;
  std::string after;

  std::string ToString() const;
  static std::optional<PageToken> Parse(std::string_view text);
};

}  // namespace kinsock

#endif  // KINSOCK_SERVER_MODEL_RESOURCE_VERSION_H_
