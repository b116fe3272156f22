# R's plumber as its guide writes it: what a handler returns is serialised, and every R value is a vector.
label <- function(tenure) ifelse(as.numeric(tenure) < 12, "churn", "stay")
customers <- function(req) as.data.frame(req$body)

api <- plumber::pr()
api <- plumber::pr_get(api, "/health", function() "ok")
api <- plumber::pr_post(api, "/class", function(tenure) label(tenure))
api <- plumber::pr_post(api, "/number", function(tenure) as.numeric(tenure) / 7)
api <- plumber::pr_post(api, "/zero-one", function(tenure) ifelse(as.numeric(tenure) < 12, 1, 0))
api <- plumber::pr_post(api, "/object", function(tenure) list(prediction = label(tenure), probability = ifelse(as.numeric(tenure) < 12, 0.9, 0.1)))
# What predict() of a tidymodels workflow gives: a frame with the column .pred_class.
api <- plumber::pr_post(api, "/tidy", function(req) data.frame(.pred_class = label(customers(req)$tenure)))
api <- plumber::pr_post(api, "/tidy-probabilities", function(req) {
  p <- ifelse(customers(req)$tenure < 12, 0.9, 0.1)
  data.frame(.pred_churn = p, .pred_stay = 1 - p)
})
api <- plumber::pr_post(api, "/missing", function(req) ifelse(customers(req)$tenure > 20, NA, label(customers(req)$tenure)))
api <- plumber::pr_post(api, "/raises", function(tenure) if (as.numeric(tenure) < 0) stop("a tenure below 0") else label(tenure))
# Classes by rpart, R's own trees: a factor.
frame <- data.frame(tenure = 1:24, class = factor(ifelse(1:24 < 12, "churn", "stay")))
tree <- rpart::rpart(class ~ tenure, frame, minsplit = 2)
api <- plumber::pr_post(api, "/factor", function(req) predict(tree, customers(req), type = "class"))
api <- plumber::pr_post(api, "/matrix", function(req) predict(tree, customers(req), type = "prob"))
plumber::pr_run(api, host = "127.0.0.1", port = as.integer(commandArgs(TRUE)[1]), docs = FALSE)
