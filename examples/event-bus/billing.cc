// The billing service: each step of an order has its paper.
#include <event_bus/service.h>

int main(int argc, char** argv) {
  const event_bus::Service billing{.group = "billing", .output = "invoices", .words = {"quote", "invoice", "receipt"}};
  return event_bus::run(billing, argc, argv);
}
