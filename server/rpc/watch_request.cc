// SPDX-License-Identifier: Apache-2.0
#include "server/rpc/watch_request.h"

#include <optional>

#include "absl/strings/str_cat.h"
#include "base/text.h"
#include "server/convert/proto_time.h"
#include "server/model/resource_version.h"
#include "server/status/error.h"

namespace kinsock {
namespace {

constexpr std::chrono::seconds kDefaultBookmarkInterval{30};
constexpr std::chrono::seconds kMinBookmarkInterval{1};
constexpr std::chrono::hours kMaxBookmarkInterval{1};

}  // namespace

absl::StatusOr<std::chrono::nanoseconds> BookmarkInterval(const v1::WatchRequest& request) {
  if (!request.has_bookmark_interval()) return kDefaultBookmarkInterval;
  const std::optional<std::chrono::nanoseconds> wanted = ToNanoseconds(request.bookmark_interval());
  if (wanted.has_value() && *wanted >= kMinBookmarkInterval && *wanted <= kMaxBookmarkInterval) return *wanted;
  return FieldsInvalid("", {{"bookmark_interval", "is not from 1 s to 1 h"}});
}

absl::StatusOr<uint64_t> VersionToResume(const v1::WatchRequest& request, const std::string& epoch, uint64_t oldest,
                                         uint64_t head) {
  const std::string& text = request.resource_version();
  const std::optional<ResourceVersion> wanted = ResourceVersion::Parse(text);
  if (!wanted.has_value()) {
    return FieldsInvalid("", {{"resource_version", absl::StrCat(Quoted(text),
                                                                " is not a version; leave it empty, or take one that "
                                                                "this watch has sent")}});
  }
  if (wanted->epoch == epoch && wanted->n > head) {
    return FieldsInvalid("", {{"resource_version", "is of the future; take one that this daemon has sent"}});
  }
  if (wanted->epoch == epoch && wanted->n >= oldest) return wanted->n;
  return Error(absl::StatusCode::kOutOfRange, "RESOURCE_VERSION_EXPIRED",
               absl::StrCat("version ", Quoted(text),
                            wanted->epoch == epoch ? " is no longer remembered"
                                                   : " is of another watch, or of an earlier start of the daemon",
                            "; watch again without a version"))
      .With("oldest", ResourceVersion{epoch, oldest}.ToString());
}

}  // namespace kinsock
