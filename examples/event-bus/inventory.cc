// The inventory service: each step of an order moves something in the stock.
#include <event_bus/service.h>

int main(int argc, char** argv) {
  const event_bus::Service inventory{.group = "inventory", .output = "stock-moves", .words = {"reserve", "pick", "dispatch"}};
  return event_bus::run(inventory, argc, argv);
}
