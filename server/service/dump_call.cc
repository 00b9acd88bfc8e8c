// SPDX-License-Identifier: Apache-2.0
#include "server/service/dump_call.h"

#include <utility>

#include "absl/strings/str_cat.h"
#include "server/rpc/access.h"
#include "server/status/error.h"
#include "server/status/status_conversion.h"

namespace kinsock {

grpc::ServerWriteReactor<v1::ConfigDump>* DumpCall::Start(EventLoop& main, std::function<ConfigSnapshot()> look,
                                                          std::atomic<size_t>& open, bool file_only,
                                                          WatchQuota::Ticket ticket) {
  if (open.fetch_add(1) >= kMaxDumps) {
    --open;
    return new RefusedStream<v1::ConfigDump>(ToGrpcStatus(QuotaExceeded(
        "config_dumps", kMaxDumps,
        absl::StrCat("one caller has at most ", kMaxDumpsPerCaller, " at a time; wait until one of them ends"))));
  }
  auto* const call = new DumpCall(open, std::move(ticket));
  // Until something is written or finished, gRPC leaves it alone.
  main.Post([call, look = std::move(look), file_only] {
    call->dump_ = std::make_unique<ConfigDump>(look(), file_only);
    call->WriteNext();
  });
  return call;
}

void DumpCall::OnWriteDone(bool ok) {
  if (!ok) return Finish(grpc::Status(grpc::StatusCode::CANCELLED, "the client went away"));
  WriteNext();
}

void DumpCall::WriteNext() {
  if (dump_->Next(piece_)) return StartWrite(&piece_);
  // Its place is free before the client hears of the end, and calls again.
  dump_.reset();
  ticket_ = WatchQuota::Ticket();
  Finish(grpc::Status::OK);
}

}  // namespace kinsock
