// SPDX-License-Identifier: Apache-2.0
#include "server/service/captures.h"

#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "base/status_macros.h"
#include "capture/point.h"
#include "server/rpc/watch_quota.h"
#include "server/service/capture_stream.h"
#include "server/status/error.h"
#include "server/status/status_conversion.h"

namespace kinsock {

grpc::ServerWriteReactor<v1::CaptureChunk>* Captures::Start(grpc::CallbackServerContext& context,
                                                            const v1::CaptureRequest& request) {
  absl::StatusOr<WatchQuota::Ticket> ticket = env_.access.AdmitWatch(context, "ConnectionService.Capture");
  if (!ticket.ok()) return new RefusedStream<v1::CaptureChunk>(ToGrpcStatus(ticket.status()));
  if (absl::Status refusal = CheckPayload(context, request); !refusal.ok()) {
    return new RefusedStream<v1::CaptureChunk>(ToGrpcStatus(refusal));
  }
  return CaptureStream::Start(*this, env_.audit.WhoCalls(context), request, *std::move(ticket));
}

absl::Status Captures::CheckPayload(const grpc::CallbackServerContext& context,
                                    const v1::CaptureRequest& request) const {
  if (!request.payload()) return absl::OkStatus();
  KINSOCK_RETURN_IF_ERROR(env_.access.Check(context, "ConnectionService.Capture.payload"));
  if (env_.payload_allowed) return absl::OkStatus();
  absl::Status refusal = Error(
      absl::StatusCode::kPermissionDenied, "PAYLOAD_NOT_ALLOWED",
      "the configuration of this daemon lets captures see headers only; capture without payload, or start it with "
      "--capture-payload (\"capture: {payload: true}\" in the file)");
  env_.audit.Mutation(context, "ConnectionService.Capture", "daemon", refusal, {{"payload", "true"}});
  return refusal;
}

void Captures::Close(const absl::Status& reason) {
  closed_ = reason;
  while (!streams_.empty()) (*streams_.begin())->Close(reason);
}

uint64_t Captures::lost() const {
  uint64_t sum = lost_;
  for (const CaptureStream* stream : streams_) sum += stream->lost();
  return sum;
}

absl::StatusOr<uint64_t> Captures::Enter(CaptureStream& stream) {
  KINSOCK_RETURN_IF_ERROR(closed_);
  if (streams_.size() >= kMaxCaptures) {
    return QuotaExceeded(
        "captures", kMaxCaptures,
        absl::StrCat("one caller has at most ", kMaxCapturesPerCaller, "; wait until one of them ends"));
  }
  streams_.insert(&stream);
  return ++begun_;
}

void Captures::Leave(CaptureStream& stream, uint64_t lost) {
  if (streams_.erase(&stream) > 0) lost_ += lost;
}

absl::StatusOr<CaptureFilter> Captures::Resolve(const CaptureFilterText& text) const {
  CaptureFilter filter;
  for (const CaptureFilter::Term& term : text.terms) filter.Add(term);
  for (const CaptureFilterText::Named& named : text.named) {
    CaptureFilter::Term term{.key = named.key, .negated = named.negated, .values = {}};
    for (const std::string& id : named.ids) {
      if (named.key == CaptureFilter::Key::kDevice) {
        KINSOCK_ASSIGN_OR_RETURN(const DeviceId device, env_.manager.ServedDevice(id));
        term.values.push_back(device);
      } else {
        KINSOCK_RETURN_IF_ERROR(env_.networks.Get(id).status());
        term.values.push_back(env_.networks.IdOf(id));
      }
    }
    filter.Add(std::move(term));
  }
  return filter;
}

CaptureInterface Captures::Describe(uint64_t point) const {
  const CapturePoint what = CapturePoint::OfKey(point);
  const VmSnapshotPtr vm = env_.manager.OfDevice(what.device);
  // One that was deleted more than a minute ago has no name any more.
  const std::string name = vm != nullptr ? vm->definition->id : absl::StrCat("device-", what.device);
  const bool to_guest = what.direction == CaptureDirection::kToGuest;
  return {.name = absl::StrCat(name, to_guest ? ":to_guest" : ":from_guest"),
          .description =
              absl::StrCat("what the guest of ", vm != nullptr ? "vms/" : "", name, to_guest ? " is given" : " sends"),
          .direction = what.direction};
}

}  // namespace kinsock
