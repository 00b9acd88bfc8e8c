// SPDX-License-Identifier: Apache-2.0
#ifndef KINSOCK_CLI_TOP_VM_PROGRESS_H_
#define KINSOCK_CLI_TOP_VM_PROGRESS_H_

#include <grpcpp/client_context.h>

#include <functional>
#include <memory>
#include <string>

#include "api/kinsock/v1/vm_service.grpc.pb.h"
#include "cli/call/client.h"

namespace kinsock {

// Begins a call about a VM, which ends in `queue`.
using BeginVmCall = std::function<std::unique_ptr<grpc::ClientAsyncResponseReader<v1::Vm>>(grpc::ClientContext*,
                                                                                           grpc::CompletionQueue*)>;

// Makes a call that may take long, with the deadline of `context`. Who waits at a terminal sees each second what state
// the VM is in, how many connections it has, and `what` is waited for: "waiting for ACTIVE".
grpc::Status AwaitVmCall(Client& client, const std::string& name, const std::string& what,
                         std::unique_ptr<grpc::ClientContext> context, const BeginVmCall& begin, v1::Vm& vm);

}  // namespace kinsock

#endif  // KINSOCK_CLI_TOP_VM_PROGRESS_H_
