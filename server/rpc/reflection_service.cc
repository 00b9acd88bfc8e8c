// SPDX-License-Identifier: Apache-2.0
#include "server/rpc/reflection_service.h"

#include <grpcpp/support/server_callback.h>

#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "api/grpc/reflection/v1/reflection.grpc.pb.h"
#include "api/grpc/reflection/v1alpha/reflection.grpc.pb.h"
#include "base/text.h"
#include "server/rpc/api_descriptors.h"
#include "server/rpc/api_limits.h"
#include "server/status/status_conversion.h"

namespace kinsock {
namespace {

template <typename Response>
void SetFiles(std::vector<std::string> files, const std::string& wanted, Response& response) {
  if (files.empty()) {
    response.mutable_error_response()->set_error_code(static_cast<int>(grpc::StatusCode::NOT_FOUND));
    response.mutable_error_response()->set_error_message(absl::StrCat(Quoted(wanted), " is not known here"));
    return;
  }
  for (std::string& file : files) {
    response.mutable_file_descriptor_response()->add_file_descriptor_proto(std::move(file));
  }
}

// The two versions of the protocol have the same messages in different packages.
template <typename Request, typename Response>
Response Answer(const Request& request) {
  const ApiDescriptors& descriptors = ApiDescriptors::Get();
  Response response;
  response.set_valid_host(request.host());
  *response.mutable_original_request() = request;
  switch (request.message_request_case()) {
    case Request::kFileByFilename:
      SetFiles(descriptors.File(request.file_by_filename()), request.file_by_filename(), response);
      break;
    case Request::kFileContainingSymbol:
      SetFiles(descriptors.FileOfSymbol(request.file_containing_symbol()), request.file_containing_symbol(), response);
      break;
    case Request::kFileContainingExtension:  // there are none
      SetFiles({}, request.file_containing_extension().containing_type(), response);
      break;
    case Request::kAllExtensionNumbersOfType:
      if (descriptors.FileOfSymbol(request.all_extension_numbers_of_type()).empty()) {
        SetFiles({}, request.all_extension_numbers_of_type(), response);
      } else {
        response.mutable_all_extension_numbers_response()->set_base_type_name(request.all_extension_numbers_of_type());
      }
      break;
    case Request::kListServices:
      for (const std::string& name : descriptors.services()) {
        response.mutable_list_services_response()->add_service()->set_name(name);
      }
      break;
    case Request::MESSAGE_REQUEST_NOT_SET:
      response.mutable_error_response()->set_error_code(static_cast<int>(grpc::StatusCode::INVALID_ARGUMENT));
      response.mutable_error_response()->set_error_message("the request asks for nothing");
      break;
  }
  return response;
}

// One stream: reads a question, writes the answer, and so on. Never more than one of each is in memory.
template <typename Request, typename Response>
class Conversation final : public grpc::ServerBidiReactor<Request, Response> {
 public:
  explicit Conversation(absl::StatusOr<WatchQuota::Ticket> ticket) : ticket_(std::move(ticket)) {
    if (ticket_.ok()) {
      this->StartRead(&request_);
    } else {
      this->Finish(ToGrpcStatus(ticket_.status()));
    }
  }

  void OnReadDone(bool ok) override {
    if (!ok) return this->Finish(grpc::Status::OK);
    if (request_.ByteSizeLong() > kMaxSchemaQuestionBytes) {
      return this->Finish({grpc::StatusCode::INVALID_ARGUMENT, "no name is as long as that"});
    }
    response_ = Answer<Request, Response>(request_);
    this->StartWrite(&response_);
  }
  void OnWriteDone(bool ok) override {
    if (!ok) return this->Finish(grpc::Status::CANCELLED);
    this->StartRead(&request_);
  }
  void OnDone() override { delete this; }

 private:
  const absl::StatusOr<WatchQuota::Ticket> ticket_;
  Request request_;
  Response response_;
};

template <typename CallbackService, typename Request, typename Response>
class ReflectionService final : public CallbackService {
 public:
  explicit ReflectionService(AdmitSchema admit) : admit_(std::move(admit)) {}
  grpc::ServerBidiReactor<Request, Response>* ServerReflectionInfo(grpc::CallbackServerContext* context) override {
    return new Conversation<Request, Response>(admit_ != nullptr ? admit_(*context) : WatchQuota::Ticket());
  }

 private:
  const AdmitSchema admit_;
};

template <typename CallbackService, typename Request, typename Response>
std::unique_ptr<grpc::Service> Make(AdmitSchema admit) {
  return std::make_unique<ReflectionService<CallbackService, Request, Response>>(std::move(admit));
}

}  // namespace

std::vector<std::unique_ptr<grpc::Service>> MakeReflectionServices(AdmitSchema admit) {
  namespace v1 = grpc::reflection::v1;
  namespace v1alpha = grpc::reflection::v1alpha;
  std::vector<std::unique_ptr<grpc::Service>> services;
  services.push_back(
      Make<v1::ServerReflection::CallbackService, v1::ServerReflectionRequest, v1::ServerReflectionResponse>(admit));
  services.push_back(Make<v1alpha::ServerReflection::CallbackService, v1alpha::ServerReflectionRequest,
                          v1alpha::ServerReflectionResponse>(std::move(admit)));
  return services;
}

}  // namespace kinsock
