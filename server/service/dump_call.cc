// SPDX-License-Identifier: Apache-2.0
#include "server/service/dump_call.h"

#include <utility>

namespace kinsock {

DumpCall* DumpCall::Start(EventLoop& main, std::function<ConfigSnapshot()> look, bool file_only,
                          WatchQuota::Ticket ticket) {
  auto* const call = new DumpCall(std::move(ticket));
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
  if (!dump_->Next(piece_)) return Finish(grpc::Status::OK);
  StartWrite(&piece_);
}

}  // namespace kinsock
