// SPDX-License-Identifier: Apache-2.0
#ifndef KINSOCK_SERVER_RPC_MALFORMED_REQUEST_H_
#define KINSOCK_SERVER_RPC_MALFORMED_REQUEST_H_

#include <grpcpp/support/server_interceptor.h>

#include <memory>
#include <string_view>

namespace kinsock {

// Bytes that are not the request that a method takes. gRPC 1.51 parses requests itself and says of those that it cannot
// parse that the method is UNIMPLEMENTED, without a word; a client would look for the fault at the wrong end. With this
// it hears INVALID_ARGUMENT: FIELD_INVALID and the field for text that is not UTF-8, REQUEST_MALFORMED for all else.

// For grpc::ServerBuilder: one interceptor of each call.
std::unique_ptr<grpc::experimental::ServerInterceptorFactoryInterface> MakeMalformedRequestInterceptors();

// What Protocol Buffers says for the log while it parses. Of text that is not UTF-8 it names the field here and nowhere
// else; the call whose request the thread parses remembers it. Any thread.
void NoteParserMessage(std::string_view message);

}  // namespace kinsock

#endif  // KINSOCK_SERVER_RPC_MALFORMED_REQUEST_H_
