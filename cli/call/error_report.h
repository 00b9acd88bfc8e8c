// SPDX-License-Identifier: Apache-2.0
#ifndef KINSOCK_CLI_CALL_ERROR_REPORT_H_
#define KINSOCK_CLI_CALL_ERROR_REPORT_H_

#include <grpcpp/support/status.h>

#include <string>
#include <vector>

namespace kinsock {

// What to tell a person about an error of the daemon that `command` ("vm create") has met: the reason, what was wrong,
// and the next command to try.
//
//     kinsockctl: CID_IN_USE: CID 3 belongs to vms/web-1; choose another, or leave it to the daemon
//       try: kinsockctl vm get web-1
std::string DescribeError(const grpc::Status& status, const std::string& command);

// Fields that the daemon finds fault with, by the names that its API has for them.
struct FieldFault {
  std::string field;  // "vm.spec.uds.path"
  std::string what;
};
std::vector<FieldFault> FieldFaultsOf(const grpc::Status& status);

// What to try after an error that `command` has met; empty: nothing is known.
std::string NextStepAfter(const grpc::Status& status, const std::string& command);

// The reason that the daemon gave, for example "ETAG_MISMATCH"; empty when it gave none.
std::string ErrorReasonOf(const grpc::Status& status);

}  // namespace kinsock

#endif  // KINSOCK_CLI_CALL_ERROR_REPORT_H_
