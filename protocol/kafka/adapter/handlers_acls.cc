#include "protocol/kafka/adapter/handlers.h"

/// Access rules: there is no authorizer, and each call says so, as Apache Kafka does without one.
namespace tidemark::kafka {
namespace {

template <class Part>
void refuse(Part& part) {
  part.error_code = ErrorCode::security_disabled;
  part.error_message = "No authorizer is configured on the broker.";
}

}  // namespace

void handle(const Call& call, DescribeAclsRequest) {
  DescribeAclsResponse response;
  refuse(response);
  call.reply(response);
}

void handle(const Call& call, CreateAclsRequest request) {
  CreateAclsResponse response;
  response.results.resize(request.creations.size());
  for (auto& result : response.results) refuse(result);
  call.reply(response);
}

void handle(const Call& call, DeleteAclsRequest request) {
  DeleteAclsResponse response;
  response.filter_results.resize(request.filters.size());
  for (auto& result : response.filter_results) refuse(result);
  call.reply(response);
}

}  // namespace tidemark::kafka
