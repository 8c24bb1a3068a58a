"""What the tests of the TWS adapter share."""

SYMBOL = "AAPL@265598"
